# 管理画面, and the recovery of a terminal that is locked out. 期限切れ is expired, 失効（無効化） is revoked.

admin-title = 管理画面
admin-terminals-title = 端末一覧
admin-terminal-title = 端末の詳細
admin-locked-out = 期限切れで接続できない端末が{ $count }台あります。
admin-safe-until = 今接続できる端末は、{ $until } まですべて使えます。
admin-search = 端末名・端末番号・シリアル番号の一部で探す
admin-search-button = 探す
admin-search-all = すべて表示する
admin-none = 当てはまる端末はありません。
admin-count = 登録されている端末は{ $count }台です。手当てが必要なものから順に表示しています。
admin-number = 端末番号
admin-condition = 状態
admin-condition-expired = 期限切れ
admin-condition-revoked = 失効（無効化）
admin-condition-ends-soon = 期限間近
admin-condition-due = 更新できます
admin-condition-waiting = 発行済・未取得
admin-condition-fetched = 取得済・未使用
admin-condition-in-use = 使用中
admin-condition-empty = 未発行
admin-condition-retired = 利用終了
admin-print = この一覧を印刷する
admin-csv = 表計算用に保存する（CSV）
admin-back = 端末一覧に戻る

admin-help-title = 新しい証明書を渡す
admin-help-lead = 期限切れや故障で使えなくなった端末に、新しい証明書を渡します。理由は操作ログに残ります。
admin-reason = 理由
admin-reason-hint = 例：期限切れ、パソコンの故障、パソコンの入れ替え
admin-reason-1 = 期限切れ
admin-reason-2 = パソコンの故障
admin-reason-3 = パソコンの入れ替え
admin-reason-needed = 理由を200文字以内で入力してください。
admin-way = 渡し方
admin-way-code = 復旧コードを作る
admin-way-code-when = その端末の前に人がいるとき。画面に出る8桁の数字を電話などで伝えて、その端末で入力してもらいます。
admin-way-here = この端末で受け取る
admin-way-here-when = USB メモリーなどで運べるとき。証明書のファイルとパスワードをここで受け取り、その端末に取り込みます。
admin-help-button = 次へ進む
admin-help-revoked = この端末の証明書は失効（無効化）されています。盗難や紛失のおそれがあるため、ここからは渡せません。お問い合わせの窓口に連絡してください。
admin-help-typed = この端末では復旧コードが入力され、{ $until } まで証明書を受け取れる状態です。受け取りを打ち切ってやり直すときは、もう一度「次へ進む」を押してください。
admin-help-never = この端末には、まだ証明書が発行されていません。お問い合わせの窓口に連絡してください。
admin-no-help-revoked = この端末の証明書は失効（無効化）されています。盗難や紛失のおそれがあるため、ここからは新しい証明書を渡せません。もう一度使うときは、お問い合わせの窓口に連絡してください。
admin-no-help-retired = この端末は利用を終えています。もう一度使うときは、お問い合わせの窓口に連絡してください。
admin-no-help-empty = この端末には、まだ証明書が発行されていません。お問い合わせの窓口に連絡してください。

admin-life-title = 名前の変更・利用の終わり
admin-name = 端末名
admin-name-hint = 40文字まで。置き場所や使う人が分かる名前にすると、取り違えを防げます。
admin-name-button = 名前を変える
admin-name-needed = 端末名を40文字以内で入力してください。
admin-end-title = 使えなくする
admin-end-lead = すぐに接続できなくなります。取り消すことはできません。
admin-end-how = 理由の種類
admin-end-lost = 紛失・盗難
admin-end-lost-when = この端末の証明書をすべて失効（無効化）します。あとからここで復旧することもできません。
admin-end-retired = 利用の終わり
admin-end-retired-when = 廃棄や返却など、もう使わない端末です。証明書をすべて失効（無効化）し、利用終了にします。
admin-end-button = 使えなくする
admin-end-own = 今お使いの端末は、ここからは使えなくできません。別の端末から行ってください。
admin-end-already = この端末は、すでに利用を終えています。
admin-sure = 「{ $terminal }」を使えなくします
admin-sure-needed = 確認の欄に印を付けてから、もう一度押してください。

admin-code-title = 復旧コード
admin-code-where = 使えなくなった端末のブラウザーで { $address } を開いて、次の二つを入力してもらってください。いつもの画面を開いたときの案内からも入力できます。
admin-code-until = { $until } まで使えます。5回間違えると使えなくなります。ほかの人に見せないでください。

admin-another-way = コードを作り直す、または別の渡し方にする

admin-fetch-title = 「{ $terminal }」の新しい証明書
admin-fetch-there = この端末には取り込まないでください。ファイルとパスワードを「{ $terminal }」へ運んで、そこで取り込みます。

fetch-save = 証明書を保存する
fetch-other-format = 「パスワードが正しくありません」と出るときは、もう一つの形式をお使いください：
fetch-until = { $until } まで、何度でも保存・確認できます。

recovery-title = 端末の復旧
recovery-lead = 証明書の期限切れなどで接続できなくなった端末で、復旧コードを入力すると、新しい証明書を受け取れます。
recovery-type = 復旧コードを入力する
recovery-number = 端末番号
recovery-number-hint = 例：1-2（コードと一緒に伝えられた番号）
recovery-code = 復旧コード
recovery-code-hint = 8桁の数字
recovery-button = 新しい証明書を受け取る
recovery-busy = 作成しています
recovery-unreadable = 端末番号（例：1-2）と復旧コード（8桁の数字）を確かめて、もう一度入力してください。
recovery-wrong = 端末番号か復旧コードが違うか、コードの有効時間が過ぎています。5回間違えるとコードは使えなくなります。そのときは新しいコードを作ってもらってください。
recovery-not-possible = この端末の証明書は、復旧コードでは受け取れません。お問い合わせの窓口に連絡してください。
recovery-too-many = 続けて入力されたため、受け付けを一時的に止めています。1分ほど待ってから、もう一度お試しください。
recovery-whence = 復旧コードをもらうには
recovery-whence1 = 院内に接続できる端末があるときは、管理者がその端末で「管理画面」を開き、この端末を選んで復旧コードを作ります。
recovery-whence2 = 接続できる端末がないときは、下の窓口に電話し、端末名と「復旧コード」とお伝えください。
recovery-ready = 「{ $terminal }」の新しい証明書ができました。
recovery-until = 有効期限は { $end } です。
recovery-fetch = 証明書を受け取る
recovery-import-here = 取り込みは、この端末で、いつも使うユーザーでサインインしたまま行ってください。
recovery-connect = 新しい証明書で接続する
recovery-connect-how = 取り込みが終わったら、下のボタンを押し、出てきた画面で証明書を選んで「OK」を押してください。

landing-recovery = 復旧コードをお持ちのとき
landing-recovery-lead = 院内の管理者、または窓口から伝えられた復旧コードを入力すると、この端末で新しい証明書を受け取れます。
