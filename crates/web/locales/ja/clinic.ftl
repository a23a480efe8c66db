# ブラウザーの設定
policy-title = ブラウザーの設定
policy-lead = 接続のたびに出る「証明書の選択」の画面を、Chrome と Edge で出ないようにするファイルです。
policy-once = パソコン1台につき1回、そのパソコンの管理者が行います。証明書を更新しても、やり直す必要はありません。認証局の入れ替えの案内があったときだけ、もう一度行ってください。
policy-two = 更新のあとは新旧2枚の証明書がありますが、有効期限の遅い（新しい）ほうが自動で使われます。
policy-only-one = 複数の医院の証明書を入れているパソコン（サポート会社など）では使わないでください。どの医院の証明書で接続するかを選べなくなります。
policy-windows = Windows
policy-windows-1 = 設定ファイルを保存します。
policy-windows-file = Windows 用の設定ファイル（.reg）
policy-windows-2 = 保存したファイルを開き、「はい」を押します。パソコンの管理者のパスワードを求められることがあります。
policy-restart = Chrome と Edge をすべて閉じて、開き直します。
policy-undo = 元に戻すとき：
policy-undo-file = 設定を取り消すファイル（.reg）
policy-macos = Mac
policy-macos-how = 保存したファイルを開き、「システム設定」の「一般」→「デバイス管理」（古い macOS では「プライバシーとセキュリティ」→「プロファイル」）でインストールしてから、ブラウザーを開き直します。取り消すときは、同じ画面でプロファイルを削除します。
policy-macos-file = Mac 用の構成プロファイル（.mobileconfig）
policy-linux = Linux
policy-linux-how = 保存したファイルを、お使いのブラウザーの次のフォルダーに置いてから、ブラウザーを開き直します。取り消すときは、ファイルを削除します。
policy-linux-file = Linux 用の設定ファイル（.json）
policy-many = 多くのパソコンをまとめて管理しているとき
policy-many-how = グループポリシー、Intune の設定カタログ、Google 管理コンソールなどで、ポリシー「AutoSelectCertificateForUrls」（これらのサイトのクライアント証明書を自動的に選択する）に、次の行を一つずつ追加します。
policy-intune-how = Chrome と Edge の管理用テンプレート（ADMX）を「Chrome」「Edge」の名前で取り込んである Intune には、Microsoft Graph でこのまま登録できます：
policy-intune-file = Intune 用の構成（.json）
policy-works = うまくいったか確かめる
policy-works-how = ブラウザーを開き直してこのサイトに接続し、証明書の選択の画面が出なければ完了です。出るときは、アドレス欄に chrome://policy（Edge では edge://policy）と入力し、AutoSelectCertificateForUrls が表示されているか確かめてください。

# 端末一覧
list-place = 置き場所
list-system = OS
list-seen = 最後の利用
list-found = 該当する端末は{ $count }台です。
list-all-states = すべて
list-before = 前の100台
list-after = 次の100台
list-place-hint = 例：1階受付（空欄にもできます）
list-system-hint = 例：Windows 11（空欄にもできます）
list-system-seen = 前回の接続では「{ $system }」でした。
list-note-wrong = 置き場所と OS は、それぞれ40文字以内で入力してください。

# 期限の証明
proof-title = 証明書の期限の証明
proof-customer = 医療機関
proof-service = サービス
proof-at = 確認した日時
proof-promise = いつまで止まりませんか
proof-stopped = 期限切れなどで、すでに接続できない端末があります：
proof-until = { $until } まで、今接続できる端末は、証明書の期限では止まりません。
proof-connecting = 接続できる端末は{ $count }台です。
proof-first = 最初に期限が来る端末：
proof-renew = この日までに更新すれば、その後も止まりません。
proof-nothing = 現在、接続できる端末はありません。
proof-never = まだ一度も接続していない端末（上の期限には含みません）：
proof-all = すべての端末（利用を終えたものを除く）
proof-log = 操作ログの最後の行：{ $number }番、検証用の値
proof-sign = 確認した日　　　　年　　月　　日　　　確認者　　　　　　　　　　　　　　印
proof-print = 印刷する（PDF に保存する）
