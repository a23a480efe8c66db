# Words that all pages share.

frame-skip = Skip to the content
frame-terminal = Terminal
frame-user = Logged in as { $user }
frame-logout = Log out
frame-other-language = 日本語
frame-pages = Pages to check
frame-support = Support { $phone }
frame-hours = Hours

serial = Serial number
days-left = { $count ->
    [one] { $count } day left
   *[other] { $count } days left
}
choose-again = Choose the certificate again
choose-or-close = If the list of certificates does not appear, close all windows of your browser and open it again.

moment = { $weekday } { $day } { $month } { $year }, { $time }
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December
weekday-1 = Mon
weekday-2 = Tue
weekday-3 = Wed
weekday-4 = Thu
weekday-5 = Fri
weekday-6 = Sat
weekday-7 = Sun
