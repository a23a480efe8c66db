# What went wrong: pages before a closed gate (landing) and error pages (trouble). 期限切れ is expired, 失効（無効化） is revoked.

landing-why = 考えられる理由
landing-now = 次にすること
landing-again = もう一度つなぐ
landing-login = ログイン画面に戻る
landing-support = お困りのときの窓口
landing-support-unknown = 連絡先は、導入時の案内をご覧ください。
landing-tell = お電話の際は、この画面のいちばん上の見出しをお伝えください。

landing-none-title = 証明書が届いていません
landing-none-what = このサービスは、証明書が入った端末からだけ利用できます。今の接続では、証明書が送られてきませんでした。
landing-known = このブラウザーで前回ログインした端末
landing-known-number = 端末番号
landing-known-ended = 期限切れ
landing-known-so = この端末の証明書は期限が切れています。ブラウザーが期限切れの証明書を選択画面に出さないため、この画面になりました。院内の管理者か下の窓口に、端末名と端末番号、「復旧コード」とお伝えください。

landing-none-why1 = 証明書の選択画面で「キャンセル」を押した、または選ばずに閉じた。
landing-none-why2 = 証明書の有効期限が切れている。ブラウザーは期限切れの証明書を選択画面に出さないため、この画面になります。
landing-none-why3 = この端末、または今サインインしているユーザーに、証明書がまだ取り込まれていない。
landing-none-why4 = いつもと違うブラウザーで開いている。Firefox には、別に取り込む必要があります。
landing-none-step1 = 「証明書を選び直す」を押し、出てきた画面で証明書を選んで「OK」を押してください。
landing-none-step2 = 選択画面が出ないときは、いつも使っているブラウザーか、いつものユーザーかを確かめてください。
landing-none-step3 = それでもこの画面になるときは、期限切れの可能性があります。院内の管理者か下の窓口に、端末名と「復旧コード」とお伝えください。

landing-foreign-title = この証明書では接続できません
landing-foreign-what = 選ばれた証明書は、このサービスのものとして登録されていません。
landing-foreign-why1 = ほかのサービスの証明書を選んだ。
landing-foreign-why2 = 以前の登録のままの証明書を選んだ。
landing-foreign-step1 = 「証明書を選び直す」を押し、このサービスの証明書を選んで「OK」を押してください。
landing-foreign-step2 = 選べる証明書がないときは、下の窓口に連絡してください。

landing-expired-title = 証明書の期限切れ
landing-expired-what = この証明書の有効期限は { $at } でした。期限切れのため、接続できません。
landing-expired-step1 = 更新済みの新しい証明書がこの端末にあるときは、「証明書を選び直す」を押して、新しい日付のものを選んでください。
landing-expired-step2 = 新しい証明書がないときは、院内の管理者か下の窓口に、端末名と「復旧コード」とお伝えください。コードを下の欄に入力すると、新しい証明書を受け取れます。

landing-revoked-title = 証明書の失効（無効化）
landing-revoked-what = この証明書は失効（無効化）されているため、接続できません。
landing-revoked-why1 = 端末や証明書の控えをなくした、という連絡があった。
landing-revoked-why2 = この端末の利用を終える手続きがあった。
landing-revoked-step1 = 別の新しい証明書を受け取っているときは、「証明書を選び直す」を押して、そちらを選んでください。
landing-revoked-step2 = 心当たりがないときは、すぐに下の窓口に連絡してください。

landing-not-yet-valid-title = まだ使えない証明書です
landing-not-yet-valid-what = この証明書は { $at } から使えます。
landing-not-yet-valid-why1 = 使い始めの日時になっていない。
landing-not-yet-valid-why2 = 端末かサーバーの時計がずれている。
landing-not-yet-valid-step1 = この端末の日付と時刻が正しいか、画面の右下などで確かめてください。
landing-not-yet-valid-step2 = 時計が正しいときは、上の日時を過ぎてから「もう一度つなぐ」を押してください。

landing-wrong-customer-title = 医療機関が一致しません
landing-wrong-customer-what = この端末の証明書と、入力されたユーザーは、別の医療機関に登録されています。
landing-wrong-customer-why1 = 別の医療機関の証明書を選んだ。
landing-wrong-customer-why2 = 別の医療機関のユーザーでログインしようとした。
landing-wrong-customer-step1 = この端末の医療機関のユーザーで、ログインをやり直してください。
landing-wrong-customer-step2 = 証明書を間違えたときは、「証明書を選び直す」を押して、正しいものを選んでください。
landing-wrong-customer-step3 = どちらも正しいはずのときは、下の窓口に連絡してください。

landing-unknowable-title = ただいま確認中です
landing-unknowable-what = 証明書が有効かどうかの情報を、サービスが確認しています。確認が終わるまで接続できません。
landing-unknowable-step1 = 1分ほど待ってから「もう一度つなぐ」を押してください。端末や証明書には問題ありません。
landing-unknowable-step2 = 10分たっても変わらないときは、下の窓口に連絡してください。

trouble-link-back = 元の画面に戻る
trouble-link-front = 最初の画面に戻る
trouble-log-id = お問い合わせ番号 { $id }

trouble-try-again-title = もう一度お試しください
trouble-try-again-what = 画面の有効時間が過ぎたか、別の画面でログインし直したため、操作を受け付けませんでした。
trouble-try-again-next = 何も失われていません。元の画面に戻って、もう一度お試しください。
trouble-bad-form-title = 入力を読み取れませんでした
trouble-bad-form-what = 送られた内容を読み取れませんでした。
trouble-bad-form-next = 元の画面に戻って、入力し直してください。
trouble-form-too-long-title = 入力が長すぎます
trouble-form-too-long-what = 送られた内容が長すぎるため、受け付けませんでした。
trouble-form-too-long-next = 元の画面に戻って、入力し直してください。
trouble-no-such-page-title = ページが見つかりません
trouble-no-such-page-what = 開こうとしたページはありません。
trouble-no-such-page-next = アドレス欄を確かめるか、最初の画面からお進みください。
trouble-no-such-method-title = この開き方はできません
trouble-no-such-method-what = このページは、直接開くことができません。
trouble-no-such-method-next = 最初の画面からお進みください。
trouble-no-bundle-title = 保存できる証明書はありません
trouble-no-bundle-what = 保存を待っている証明書がないか、保存できる期間が終わりました。
trouble-no-bundle-next = 更新が必要なときは、マスターメニューの「更新」からやり直せます。
trouble-link-recovery = 復旧コードの入力に戻る
trouble-not-admin-title = 管理者だけが開けるページです
trouble-not-admin-what = このページは、医療機関の管理者として登録されたユーザーだけが開けます。
trouble-not-admin-next = 管理者のユーザーでログインし直すか、院内の管理者に相談してください。
trouble-not-staff-title = 運用担当者だけが開けるページです
trouble-not-staff-what = このページは、サービスの運用担当者として登録されたユーザーだけが開けます。
trouble-not-staff-next = 最初の画面に戻ってください。運用担当者の方は、ご自分のユーザーでログインし直してください。
trouble-not-officer-title = 認証局責任者だけが行える操作です
trouble-not-officer-what = この操作は、認証局責任者（ca-officer）だけが行えます。何も変わっていません。
trouble-not-officer-next = 必要なときは、認証局責任者に依頼してください。
trouble-recovery-over-title = 復旧コードの入力からお願いします
trouble-recovery-over-what = このブラウザーでは復旧コードが確認されていないか、受け取れる時間が過ぎています。
trouble-recovery-over-next = 復旧コードをもう一度入力するか、新しいコードを作ってもらってください。
trouble-too-early-title = まだ更新の時期ではありません
trouble-too-early-what = この証明書の期限までには、まだ十分な日数があります。
trouble-too-early-next = 更新できる時期になると、マスターメニューでお知らせします。今は何もする必要はありません。
trouble-terminal-retired-title = この端末は利用を終えています
trouble-terminal-retired-what = この端末は利用終了の手続きが済んでいるため、証明書を更新できません。
trouble-terminal-retired-next = 引き続き使うときは、お問い合わせの窓口に連絡してください。
trouble-renewal-refused-title = 更新できませんでした
trouble-renewal-refused-what = この証明書では、この端末の更新を行えません。
trouble-renewal-refused-next = 最初の画面からログインし直してください。それでも変わらないときは、お問い合わせの窓口に連絡してください。
trouble-internal-title = 処理できませんでした
trouble-internal-what = サービスの側で問題が起きたため、操作を終えられませんでした。
trouble-internal-next = 少し待ってから、もう一度お試しください。続くときは、下の番号をお問い合わせの窓口にお伝えください。

trouble-not-for-customer-title = この端末からは利用できません
trouble-not-for-customer-what = このアプリケーションは、この端末の医療機関では利用できません。
trouble-not-for-customer-next = 利用できるはずのときは、下の窓口に、医療機関名と端末名をお伝えください。
trouble-no-application-title = アプリケーションがありません
trouble-no-application-what = このアドレスには、アプリケーションがありません。
trouble-no-application-next = アドレスを確かめるか、最初の画面から開き直してください。
trouble-ambiguous-path-title = アドレスを開けません
trouble-ambiguous-path-what = アドレスの書き方に、受け付けられないもの（.. や符号化された / など）が含まれています。
trouble-ambiguous-path-next = 最初の画面から開き直してください。
trouble-application-unreachable-title = アプリケーションにつながりません
trouble-application-unreachable-what = 証明書は有効で、この端末には問題ありません。アプリケーションが今、応答していません。
trouble-application-unreachable-next = 1分ほど待ってから、もう一度開いてください。続くときは、下の窓口に連絡してください。
trouble-application-too-slow-title = アプリケーションの応答がありません
trouble-application-too-slow-what = 証明書は有効で、この端末には問題ありません。アプリケーションから、時間内に応答がありませんでした。
trouble-application-too-slow-next = 直前の操作が行われたかどうかを画面で確かめてから、もう一度お試しください。続くときは、下の窓口に連絡してください。
trouble-application-broken-title = アプリケーションの応答が途切れました
trouble-application-broken-what = 証明書は有効で、この端末には問題ありません。アプリケーションからの応答が途中で途切れました。
trouble-application-broken-next = 直前の操作が行われたかどうかを画面で確かめてから、もう一度お試しください。続くときは、下の窓口に連絡してください。
trouble-link-again = もう一度開く
