# Words that all pages share.

frame-skip = 本文へ進む
frame-terminal = 端末名
frame-user = { $user } さん
frame-logout = ログアウト
frame-other-language = English
frame-pages = 確認のページ
frame-support = お問い合わせ { $phone }
frame-hours = 受付時間

serial = シリアル番号
days-left = 残り{ $count }日
choose-again = 証明書を選び直す
choose-or-close = 証明書の選択画面が出ないときは、ブラウザーの画面をすべて閉じてから、もう一度開いてください。

moment = { $year }年{ $month }月{ $day }日（{ $weekday }）{ $time }
month-1 = 1
month-2 = 2
month-3 = 3
month-4 = 4
month-5 = 5
month-6 = 6
month-7 = 7
month-8 = 8
month-9 = 9
month-10 = 10
month-11 = 11
month-12 = 12
weekday-1 = 月
weekday-2 = 火
weekday-3 = 水
weekday-4 = 木
weekday-5 = 金
weekday-6 = 土
weekday-7 = 日
