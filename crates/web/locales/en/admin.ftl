# Administration, and the recovery of a terminal that is locked out. 期限切れ is expired, 失効（無効化） is revoked.

admin-title = Administration
admin-terminals-title = Terminals
admin-terminal-title = Terminal
admin-locked-out = { $count ->
    [one] { $count } terminal has expired and cannot connect.
   *[other] { $count } terminals have expired and cannot connect.
}
admin-safe-until = Every terminal that can connect now goes on until { $until } (Japan time).
admin-search = Search by part of a name, place, number, serial number or file name
admin-search-button = Search
admin-search-all = Show all
admin-none = No terminal matches.
admin-count = { $count ->
    [one] { $count } terminal is registered.
   *[other] { $count } terminals are registered. Those that need attention come first.
}
admin-number = Terminal number
admin-condition = State
admin-condition-expired = Expired
admin-condition-revoked = Revoked
admin-condition-ends-soon = Ends soon
admin-condition-due = Can be renewed
admin-condition-waiting = Made, not saved
admin-condition-fetched = Saved, not used
admin-condition-in-use = In use
admin-condition-empty = No certificate
admin-condition-retired = Out of service
admin-print = Print this list
admin-csv = Save for a spreadsheet (CSV)
admin-back = Back to the terminals

admin-help-title = Give it a new certificate
admin-help-lead = For a terminal that has expired or broken down. The reason is kept in the operation log.
admin-reason = Reason
admin-reason-hint = For example: expired, PC broken, PC replaced
admin-reason-1 = Expired
admin-reason-2 = PC broken
admin-reason-3 = PC replaced
admin-reason-needed = Please give a reason of at most 200 characters.
admin-way = How
admin-way-code = Make a recovery code
admin-way-code-when = Somebody is in front of that terminal. Tell them the eight digits that you will see; they type them there.
admin-way-here = Fetch it at this terminal
admin-way-here-when = You can carry it over, on a USB stick for example. You get the certificate file and its password here and import them there.
admin-help-button = Go on
admin-help-revoked = The certificate of this terminal was revoked. It may be lost or stolen, so no new one can be given out from here. Please contact the support.
admin-help-typed = The recovery code was typed at this terminal, and its certificate can be fetched there until { $until } (Japan time). To end that and begin again, press “Go on” once more.
admin-help-never = This terminal never had a certificate. Please contact the support.
admin-no-help-revoked = The certificate of this terminal was revoked. It may be lost or stolen, so no new one can be given out from here. To use it again, please contact the support.
admin-no-help-retired = This terminal is out of service. To use it again, please contact the support.
admin-no-help-empty = This terminal never had a certificate. Please contact the support.

admin-life-title = Name, place and end of service
admin-name = Terminal name
admin-name-hint = Up to 40 characters. A name that says where it stands or who uses it keeps terminals from being mixed up.
admin-name-button = Save
admin-name-needed = Please give a name of at most 40 characters.
admin-end-title = Cut it off
admin-end-lead = It cannot connect any more from then on. This cannot be taken back.
admin-end-how = Kind of reason
admin-end-lost = Lost or stolen
admin-end-lost-when = Revokes all certificates of this terminal. It cannot be recovered here later on.
admin-end-retired = Out of service
admin-end-retired-when = A terminal that is thrown away or given back. Revokes all its certificates and takes it out of service.
admin-end-button = Cut it off
admin-end-own = The terminal that you are using cannot be cut off from here. Please do it from another one.
admin-end-already = This terminal is out of service already.
admin-sure = Cut off “{ $terminal }”
admin-sure-needed = Please tick the box first and press again.

admin-code-title = Recovery code
admin-code-where = In the browser of the terminal that cannot connect, have them open { $address } and type these two. The page that comes up there instead of the usual one takes them too.
admin-code-until = It works until { $until } (Japan time), and for five wrong tries. Do not show it to anybody else.

admin-another-way = Make another code, or give it another way

admin-fetch-title = The new certificate of “{ $terminal }”
admin-fetch-there = Do not import it at this terminal. Carry the file and the password over to “{ $terminal }” and import them there.

fetch-save = Save the certificate
fetch-other-format = If you are told that the password is wrong, use the other format:
fetch-until = You can save and look as often as you like until { $until } (Japan time).

recovery-title = Recover a terminal
recovery-lead = At a terminal that cannot connect any more because its certificate has expired or got lost, a recovery code gets it a new one.
recovery-type = Type the recovery code
recovery-number = Terminal number
recovery-number-hint = For example 1-2; you are told it together with the code
recovery-code = Recovery code
recovery-code-hint = Eight digits
recovery-button = Get the new certificate
recovery-busy = Making the certificate
recovery-unreadable = Please check the terminal number (such as 1-2) and the recovery code (eight digits) and type them again.
recovery-wrong = The terminal number or the recovery code is wrong, or the code's time is over. After five wrong tries a code stops working; then please ask for a new one.
recovery-not-possible = A recovery code cannot get a certificate for this terminal. Please contact the support.
recovery-too-many = Too many tries. Please wait about a minute and try again.
recovery-whence = Where to get a recovery code
recovery-whence1 = If another terminal of your institution can connect, its administrator opens “Administration” there, chooses this terminal and makes a recovery code.
recovery-whence2 = If none can connect, call the support and tell them the name of the terminal and “recovery code”.
recovery-ready = The new certificate of “{ $terminal }” is ready.
recovery-until = It is valid until { $end } (Japan time).
recovery-fetch = Get the certificate
recovery-import-here = Import it at this terminal, signed in as the user who always works here.
recovery-connect = Connect with the new certificate
recovery-connect-how = When it is imported, press the button below, choose the certificate in the window that comes up, and press “OK”.

landing-recovery = If you have a recovery code
landing-recovery-lead = With the recovery code that your administrator or the support gave you, this terminal gets its new certificate here.

api-keys-title = API keys
api-keys-lead = With a key, a program (an electronic chart, a laboratory system) can ask for terminals and the operation log. It works only together with a certificate of a terminal.
api-keys-none = There is no API key yet.
api-keys-caption = API keys of this institution
api-keys-name = Name
api-keys-name-hint = Up to 40 characters. A name that says which program uses it, for example: accounting link
api-keys-scopes = What it is good for
api-scope-terminals-read = See terminals and the state of their certificates
api-scope-terminals-write = Rename terminals
api-scope-terminals-end = Report terminals lost, take them out of service
api-scope-terminals-recover = Make recovery codes
api-scope-log-read = See the operation log
api-keys-beside = Together with which certificate
api-keys-beside-any = That of any terminal
api-keys-beside-hint = If the program runs at one terminal only, choose it here. The key is then worth nothing at others.
api-keys-only = Only with the certificate of “{ $terminal }”
api-keys-life = Works for
api-keys-days = { $count ->
    [one] one day
   *[other] { $count } days
}
api-keys-make = Make an API key
api-keys-new = A new API key
api-keys-made = The API key “{ $name }”
api-keys-once = The password is shown on this page only. Set it in the program, or keep it in a safe place.
api-keys-user = User
api-keys-password = Password
api-keys-noted = I have noted it (back to the list)
api-keys-until = Valid until
api-keys-used = Last used: { $at }
api-keys-never = Not used yet
api-keys-acts = Actions
api-keys-previous = The password before works until { $until }
api-keys-rotate = Replace
api-keys-rotate-which = Replace the password of “{ $name }”
api-keys-rotate-hint = “Replace” makes a new password. The one before goes on working for 7 days; change the program's settings in that time. If a password may have leaked, press “Revoke” and make a new API key.
api-keys-revoke = Revoke
api-keys-revoke-sure = Programs that use this key stop working at once. This cannot be taken back.
api-keys-revoke-which = Revoke the API key “{ $name }”
api-keys-state-active = Active
api-keys-state-expired = Expired
api-keys-state-revoked = Revoked
api-keys-name-needed = Please give a name of at most 40 characters.
api-keys-scope-needed = Please choose at least one thing that it is good for.
api-keys-too-many = At most { $count } API keys can be active. Revoke those that are not needed.
api-keys-gone = This API key is revoked already.
