# What went wrong: pages before a closed gate (landing) and error pages (trouble).

landing-why = Likely reasons
landing-now = What to do now
landing-again = Connect again
landing-login = Back to the login page
landing-support = Whom to ask for help
landing-support-unknown = You find the contact in the papers you received with the service.
landing-tell = When you call, please read out the heading at the top of this page.

landing-none-title = No certificate arrived
landing-none-what = This service can only be used from terminals that have a certificate. This connection came without one.
landing-known = The terminal at which this browser last logged in
landing-known-number = Terminal number
landing-known-ended = expired
landing-known-so = The certificate of this terminal has expired. Browsers do not offer expired certificates, which is why you see this page. Tell your administrator or the support below the terminal's name and its number, and ask for a recovery code.

landing-none-why1 = The list of certificates was cancelled or closed without a choice.
landing-none-why2 = The certificate has expired. Browsers do not list expired certificates, so you see this page instead.
landing-none-why3 = No certificate has been imported at this terminal yet, or not for the user who is signed in.
landing-none-why4 = This is not the browser you always use. Firefox needs an import of its own.
landing-none-step1 = Press “Choose the certificate again”, choose the certificate in the list that appears and press “OK”.
landing-none-step2 = If no list appears, check that this is the browser and the user that you always use.
landing-none-step3 = If you still see this page, the certificate may have expired. Tell your administrator or the support below the terminal's name, and ask for a recovery code.

landing-foreign-title = This certificate cannot be used here
landing-foreign-what = The certificate that was chosen is not registered with this service.
landing-foreign-why1 = A certificate of another service was chosen.
landing-foreign-why2 = A certificate from an earlier registration was chosen.
landing-foreign-step1 = Press “Choose the certificate again”, choose this service's certificate and press “OK”.
landing-foreign-step2 = If there is none to choose, call the support below.

landing-expired-title = The certificate has expired
landing-expired-what = This certificate was valid until { $at }. It has expired, so it cannot be used to connect.
landing-expired-step1 = If this terminal has a renewed certificate, press “Choose the certificate again” and choose the later date.
landing-expired-step2 = If it has none, tell your administrator or the support below the terminal's name, and ask for a recovery code. Type it below to get the new certificate.

landing-revoked-title = The certificate has been revoked
landing-revoked-what = This certificate has been revoked, so it cannot be used to connect.
landing-revoked-why1 = The terminal or a copy of the certificate was reported lost.
landing-revoked-why2 = The terminal was taken out of service.
landing-revoked-step1 = If you received another certificate, press “Choose the certificate again” and choose that one.
landing-revoked-step2 = If you do not know why, call the support below at once.

landing-not-yet-valid-title = The certificate is not valid yet
landing-not-yet-valid-what = This certificate can be used from { $at }.
landing-not-yet-valid-why1 = Its first day has not come yet.
landing-not-yet-valid-why2 = The clock of the terminal or of the server is wrong.
landing-not-yet-valid-step1 = Check that the date and time of this terminal are right.
landing-not-yet-valid-step2 = If they are, wait for the time above and press “Connect again”.

landing-wrong-customer-title = The institutions do not match
landing-wrong-customer-what = This terminal's certificate and the user who was entered belong to different institutions.
landing-wrong-customer-why1 = A certificate of another institution was chosen.
landing-wrong-customer-why2 = A user of another institution was entered.
landing-wrong-customer-step1 = Log in again as a user of the institution that this terminal belongs to.
landing-wrong-customer-step2 = If the wrong certificate was chosen, press “Choose the certificate again” and choose the right one.
landing-wrong-customer-step3 = If both should be right, call the support below.

landing-unknowable-title = One moment, please
landing-unknowable-what = The service is checking which certificates are valid. Nobody can connect until it has finished.
landing-unknowable-step1 = Wait about a minute, then press “Connect again”. Nothing is wrong with your terminal or its certificate.
landing-unknowable-step2 = If it takes longer than ten minutes, call the support below.

trouble-link-back = Go back
trouble-link-front = Go to the first page
trouble-log-id = Reference number { $id }

trouble-try-again-title = Please try again
trouble-try-again-what = The page was too old, or you logged in again in another window, so nothing was done.
trouble-try-again-next = Nothing was lost. Go back and please try again.
trouble-bad-form-title = The form could not be read
trouble-bad-form-what = What was sent could not be read.
trouble-bad-form-next = Go back and fill in the form again.
trouble-form-too-long-title = The form is too long
trouble-form-too-long-what = What was sent is too long, so it was not accepted.
trouble-form-too-long-next = Go back and fill in the form again.
trouble-no-such-page-title = Page not found
trouble-no-such-page-what = The page that you tried to open does not exist.
trouble-no-such-page-next = Check the address, or begin at the first page.
trouble-no-such-method-title = This page cannot be opened that way
trouble-no-such-method-what = This page cannot be opened directly.
trouble-no-such-method-next = Begin at the first page.
trouble-no-bundle-title = There is no certificate to save
trouble-no-bundle-what = No certificate is waiting to be saved, or the time for saving it is over.
trouble-no-bundle-next = If a renewal is due, press “Renew” on the master menu again.
trouble-link-recovery = Back to the recovery code
trouble-not-admin-title = For administrators only
trouble-not-admin-what = Only users who are registered as administrators of your institution can open this page.
trouble-not-admin-next = Please log in as an administrator, or ask yours.
trouble-not-staff-title = For the operator's staff only
trouble-not-staff-what = Only the staff of those who run this service can open this page.
trouble-not-staff-next = Go back to the first page. If you are one of the staff, please log in as yourself.
trouble-not-officer-title = For CA officers only
trouble-not-officer-what = Only a CA officer (ca-officer) can do this. Nothing was changed.
trouble-not-officer-next = Please ask a CA officer if it is needed.
trouble-recovery-over-title = Please type the recovery code first
trouble-recovery-over-what = No recovery code was accepted in this browser, or its time is over.
trouble-recovery-over-next = Please type the recovery code again, or ask for a new one.
trouble-too-early-title = It is too early to renew
trouble-too-early-what = This certificate is valid for long enough.
trouble-too-early-next = The master menu will tell you when it is time. You need not do anything now.
trouble-terminal-retired-title = This terminal is out of service
trouble-terminal-retired-what = This terminal was taken out of service, so its certificate cannot be renewed.
trouble-terminal-retired-next = If you want to go on using it, please call the support.
trouble-renewal-refused-title = The certificate could not be renewed
trouble-renewal-refused-what = This certificate cannot be used to renew for this terminal.
trouble-renewal-refused-next = Log in again from the first page. If that does not help, please call the support.
trouble-internal-title = Something went wrong
trouble-internal-what = A problem on the side of the service kept it from finishing what you asked for.
trouble-internal-next = Wait a little and try again. If it goes on, please give the number below to the support.

trouble-not-for-customer-title = Not available at this terminal
trouble-not-for-customer-what = This application is not available to the clinic of this terminal.
trouble-not-for-customer-next = If it should be, call the number below and say the names of the clinic and of the terminal.
trouble-no-application-title = No application here
trouble-no-application-what = There is no application at this address.
trouble-no-application-next = Check the address, or begin at the first page.
trouble-ambiguous-path-title = This address cannot be opened
trouble-ambiguous-path-what = The address contains something that is not accepted (.. or an encoded slash).
trouble-ambiguous-path-next = Begin at the first page.
trouble-application-unreachable-title = The application cannot be reached
trouble-application-unreachable-what = The certificate is valid and nothing is wrong with this terminal. The application does not answer at the moment.
trouble-application-unreachable-next = Wait a minute and open it again. If it stays like this, call the number below.
trouble-application-too-slow-title = The application did not answer
trouble-application-too-slow-what = The certificate is valid and nothing is wrong with this terminal. The application did not answer in time.
trouble-application-too-slow-next = Check on the screen whether your last action took effect before you try again. If it stays like this, call the number below.
trouble-application-broken-title = The application broke off
trouble-application-broken-what = The certificate is valid and nothing is wrong with this terminal. The application's answer broke off.
trouble-application-broken-next = Check on the screen whether your last action took effect before you try again. If it stays like this, call the number below.
trouble-link-again = Open it again
