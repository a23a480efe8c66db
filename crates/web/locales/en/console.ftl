# 運用コンソール, for the operator's staff. 期限切れ is expired, 失効（無効化） is revoked.

console-title = Operations console
console-front-link = Today
console-customers-title = Customers
console-customers-caption = In the order of their ids.
console-customer = Customer
console-id = Id
console-code = Billing code
console-kind = Kind
console-kind-clinic = Clinic
console-kind-operator = Operator
console-terminals = Terminals
console-first = First page
console-before = Previous 100
console-next = Next 100
console-people = People
console-user = User
console-role = Role
console-role-terminal-user = Terminal user
console-role-customer-admin = Clinic's administrator
console-role-ca-officer = CA officer
console-role-help-desk = Help desk
console-role-auditor = Auditor

console-search-title = Search
console-search = Search for anything
console-search-hint = A name, a terminal's or customer's number, a billing code, the first 6 or more digits of a serial or fingerprint, a file name, the day of an end (2027-01-21)
console-search-none = Nothing was found. Try a part of it, or something else that you know.
console-search-more = There is too much to show: these are at most 20 of each. Please say more.
console-found-terminals = Terminals found
console-found-certificates = Certificates found
console-found-customers = Customers found
console-found-users = People found

console-file = File name
console-issued = Issued
console-certificates = The certificates of this terminal, those that end last on top.
console-cert-revoked = Revoked
console-cert-expired = Expired
console-cert-issued = Issued, not fetched
console-cert-downloaded = Fetched, not used
console-cert-used = In use
console-reason-unspecified = unspecified
console-reason-key-compromise = key compromise
console-reason-superseded = superseded
console-reason-cessation-of-operation = cessation of operation
console-reason-needed = Please choose the reason of the revocation.
console-log = What was done with this terminal lately (the newest 20)

console-say = What to do next
console-say-expired = It has expired and cannot connect. The clinic's administrator can make a recovery code on the administration page of a terminal that still connects; it is typed on the page that this terminal shows.
console-say-revoked = It was revoked. It may be lost or stolen, so it cannot be recovered. If it is to be used again, a CA officer makes sure who is asking and issues another certificate.
console-say-ends-soon = Its certificate ends soon. Ask them to press “Renew” on the master menu today.
console-say-due = It can be renewed: the master menu asks. They press “Renew” when it suits them.
console-say-waiting = The new certificate is ready. They save the file from the master menu, look at its password, and import it.
console-say-fetched = The new certificate was saved, and has not been used yet. Make sure that the file was imported and the browser started again.
console-say-in-use = Its certificate is in use and has time. If it cannot connect, make sure that the right certificate is chosen in the browser's question.
console-say-empty = It has no certificate yet. A CA officer issues it.
console-say-retired = It was taken out of service. If it is to be used again, it is registered as a new terminal.
console-help-who = These people can make a recovery code, at these terminals. The code is not shown to the help desk.
console-help-people = Clinic's administrators
console-help-places = Terminals that still connect
console-help-nobody = There is no administrator, or no terminal that still connects. A CA officer calls back at the number on file, makes sure who it is, and makes a recovery code.
console-code-lead = Call back at the number on file and make sure who it is before you make it. Whoever hears the code gets the certificate of this terminal.
console-help-revoked = The certificate of this terminal was revoked: there is no recovery code for it.
console-help-never = This terminal never had a certificate.
console-help-typed = A recovery code was typed at this terminal, and the certificate can be fetched until { $until }. To end that and begin anew, give the reason and press once more.
console-end-lost-when = All its certificates are revoked, its logins and recoveries end.
console-revoke-title = Revoke a single certificate
console-revoke-lead = It stops connecting at once, and that cannot be undone. With “key compromise”, whatever was renewed from it and all logins of this terminal end, too.
console-revoke-sure = I revoke this certificate
console-revoke-button = Revoke

console-seen-link = What the user sees
console-seen-of = This is what the user of “{ $terminal }” sees on opening the portal now. Nothing here can be pressed.
console-seen-back = Back to the terminal

console-renewals = How far the renewals have come
console-renewals-lead = { $count ->
    [one] 1 terminal is within its renewal window.
   *[other] { $count } terminals are within their renewal window.
}
console-renewal-done = A newer certificate is in use
console-renewal-waiting = Issued, and not used yet
console-renewal-due = Not renewed yet
console-renewal-at-risk = Ends within 30 days, and not renewed yet
console-expired = { $count ->
    [one] 1 terminal has expired within the last 30 days and cannot connect.
   *[other] { $count } terminals have expired within the last 30 days and cannot connect.
}
console-alarms = To be looked at
console-alarms-none = Nothing at the moment.
console-problem = The service is not well.

console-issuers-title = Issuing CAs
console-issuers-lead = An old one goes when no terminal uses its certificates any more.
console-issuers-caption = “In use” counts those that were not replaced by a newer one.
console-issuer-title = Issuing CA
console-issuer = Issuing CA
console-issuer-signs = Signs
console-issuer-old = Signs no new certificates
console-issuer-free = No terminal uses a certificate of this CA any more.
console-held = In use
console-held-last = Last end
console-holders = The terminals that use a certificate of this CA, in the order in which they were issued.
console-back = Back

console-revocation-title = Revoke all certificates
console-revocation-customer = Revoke all certificates of this customer
console-revocation-issuer = Revoke all certificates of this CA
console-revocation-count = { $count ->
    [one] has 1 certificate that is not past. It will be revoked.
   *[other] has { $count } certificates that are not past. All of them will be revoked.
}
console-revocation-lead = Every terminal stops connecting at once, and that cannot be undone. Logins, recovery codes and enrolment codes end, too.
console-revocation-why = Reason of the revocation
console-revocation-type = Type the number of certificates to be revoked
console-revocation-own = The certificate of the terminal that you are using is among them, so this cannot be done here. Use the command line on the server.
console-count-needed = Please type the number that is shown above. If it has changed, look once more.

console-forecast-title = What ends when
console-forecast-total = { $count ->
    [one] The certificate of 1 terminal ends within three years from now.
   *[other] The certificates of { $count } terminals end within three years from now.
}
console-forecast-cliffs = { $count ->
    [one] There is 1 week in which many end at once. Ask its terminals to renew early (tegata renewal advise).
   *[other] There are { $count } weeks in which many end at once. Ask their terminals to renew early (tegata renewal advise).
}
console-forecast-week = { $count ->
    [one] 1 terminal
   *[other] { $count } terminals
}
console-forecast-all = All customers
console-forecast-table-beside = The numbers of each week are in the table below.
console-forecast-caption = The weeks in which something ends.
console-forecast-monday = Week of
console-forecast-note = Note
console-forecast-key-due = Not renewed yet
console-forecast-key-fetched = A newer one was fetched and not used yet
console-forecast-key-cliff = Many at once
console-print = Print

console-settings = Settings of this customer
console-settings-button = Save the settings
console-most = Most terminals in service
console-most-hint = Leave it empty for no limit. Terminals beyond it stay in use; no further one is registered.
console-most-wrong = Type a number from 0 to 9999, or leave it empty.
console-old-programs = ORCA's programs may renew
console-old-programs-hint = The clients of the receipt computer (monsiaj and others) renew their certificates themselves.
console-yes = Yes
console-no = No
console-full = As many terminals are registered as may be. Take one out of service that is not used any more, or call the support.
