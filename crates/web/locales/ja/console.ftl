# 運用コンソール, for the operator's staff. 期限切れ is expired, 失効（無効化） is revoked.

console-title = 運用コンソール
console-customers-title = 顧客一覧
console-customers-caption = 顧客番号の順に表示しています。
console-customer = 顧客
console-id = 顧客番号
console-code = 請求コード
console-kind = 種類
console-kind-clinic = 医療機関
console-kind-operator = 運用者
console-terminals = 端末数
console-first = 最初のページ
console-next = 次の100件
