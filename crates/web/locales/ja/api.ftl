# プログラムへの応答。ログを読む人のための文。コードはインターフェースの一部です。

api-no-certificate = 証明書が提示されていません
api-foreign-certificate = このサービスの証明書ではありません
api-expired-certificate = 証明書の有効期限が切れています。登録コードを管理者に依頼してください
api-revoked-certificate = 証明書は失効（無効化）されています
api-not-yet-valid-certificate = 証明書の有効期間がまだ始まっていません。端末の時計を確認してください
api-trust-unknowable = 現在、証明書の確認ができません。しばらくしてからお試しください
api-too-early = まだ更新できる時期ではありません
api-terminal-retired = この端末は利用を終了しています
api-renewal-refused = この証明書は更新できません
api-no-agents = このサービスではエージェントを利用できません
api-key-kind = この種類の鍵には証明書を発行できません
api-names-differ = 申請の名前が、更新する証明書の名前と違います
api-nothing-to-renew = 更新する証明書がまだありません。先に登録してください
api-too-many-certificates = この端末への発行回数が多すぎます。時間をおいてお試しください
api-wrong-code = 登録コードが正しくありません
api-too-many-codes = 登録コードの試行回数が多すぎます。時間をおいてお試しください
api-approval-pending = 管理者の承認を待っています
api-code-lapsed = 登録コードの期限が切れています。新しいコードを管理者に依頼してください
api-code-used = 登録コードはすでに使われています。新しいコードを管理者に依頼してください
api-enrollment-refused = 管理者が登録を却下しました
api-content-type = 送信データの種類が違います
api-request-too-long = 送信データが長すぎます
api-bad-request = 証明書の申請データを読み取れません
api-no-such-certificate = この端末にその証明書はありません
api-no-such-method = このアドレスはその方法では利用できません
api-internal = サービス側で問題が起きました。もう一度お試しください
