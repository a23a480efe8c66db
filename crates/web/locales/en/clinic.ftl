# Browser settings
policy-title = Browser settings
policy-lead = These files make Chrome and Edge stop asking which certificate to use at every connection.
policy-once = Done once for each PC, by the administrator of that PC. It need not be repeated when certificates are renewed, only when you are told that the certification authority is replaced.
policy-two = After a renewal there are two certificates, an old one and a new one; the one that ends later (the new one) is used by itself.
policy-only-one = Not for PCs that hold the certificates of several clinics (such as a support company's): nobody could choose any more as which clinic to connect.
policy-windows = Windows
policy-windows-1 = Save the settings file.
policy-windows-file = Settings file for Windows (.reg)
policy-windows-2 = Open the saved file and press "Yes". The password of the PC's administrator may be asked for.
policy-restart = Close all windows of Chrome and Edge, and open them again.
policy-undo = To undo it:
policy-undo-file = File that takes the setting away (.reg)
policy-macos = Mac
policy-macos-how = Open the saved file, install it under System Settings > General > Device Management (on older macOS: Privacy & Security > Profiles), and open the browser again. To undo it, remove the profile there.
policy-macos-file = Configuration profile for Mac (.mobileconfig)
policy-linux = Linux
policy-linux-how = Put the saved file into the folder of your browser, and open the browser again. To undo it, delete the file.
policy-linux-file = Settings file for Linux (.json)
policy-many = Where many PCs are managed together
policy-many-how = In a group policy, in Intune's settings catalog, in Google's admin console or the like, add these lines one by one to the policy "AutoSelectCertificateForUrls" (Automatically select client certificates for these sites).
policy-intune-how = An Intune that knows the templates (ADMX) of Chrome and Edge under the names "Chrome" and "Edge" takes this as it is through Microsoft Graph:
policy-intune-file = Configuration for Intune (.json)
policy-works = See whether it works
policy-works-how = Open the browser again and connect to this site: it is done when no question about a certificate appears. If it does, type chrome://policy (edge://policy in Edge) into the address bar and see whether AutoSelectCertificateForUrls is there.

# List of terminals
list-place = Place
list-system = System
list-seen = Last used
list-found =
    { $count ->
        [one] { $count } terminal fits.
       *[other] { $count } terminals fit.
    }
list-all-states = All
list-before = 100 before
list-after = 100 after
list-place-hint = Such as "reception, ground floor"; may be left empty.
list-system-hint = Such as "Windows 11"; may be left empty.
list-system-seen = At its last connection it was "{ $system }".
list-note-wrong = Place and system have at most 40 characters each.

# Proof of validity
proof-title = Proof of the certificates' validity
proof-customer = Institution
proof-service = Service
proof-at = As of
proof-promise = Until when does nothing stop?
proof-stopped = These terminals cannot connect any more, because their certificate has expired:
proof-until = Until { $until }, no terminal that connects now stops because of its certificate.
proof-connecting =
    { $count ->
        [one] { $count } terminal can connect.
       *[other] { $count } terminals can connect.
    }
proof-first = The first to end:
proof-renew = Renewed by that day, they go on.
proof-nothing = At present no terminal can connect.
proof-never = Terminals that have never connected (the date above is not about them):
proof-all = All terminals, except those out of service
proof-log = Last row of the operation log: number { $number }, value to verify it by
proof-sign = Checked on ____________________    by ________________________________
proof-print = Print (or save as PDF)

# Adding and moving terminals
new-title = Add a terminal
new-lead = Registers a PC that is to be used. The enrolment code that you then get is typed at that PC, which receives its certificate.
new-which = Which terminal is it?
new-button = Register
new-full = No more terminals can be registered. Please ask the support.
invite-code = Enrolment code
invite-where = At the PC that is to be used, open { $address } in the browser and type this code.
invite-until = It counts once, until { $until }. After five wrong tries it ends. Show it to nobody else.
invite-agent = On a PC with the agent, the code can be given to tegata agent enroll instead (server: { $address }).
invite-first = Begin to use it
invite-first-how = The enrolment code is typed at the PC that is to be this terminal. It can be told over the phone.
invite-move = Move to another PC
invite-move-how = When a PC is replaced, the enrolment code is typed at the new one. As soon as the new one is used, the certificate of "{ $terminal }" on the old one opens nothing any more.
invite-button = Make an enrolment code
enroll-title = Register this terminal
enroll-lead = Type an enrolment code at a PC that is to be used, and it receives its certificate.
enroll-type = Type the enrolment code
enroll-code = Enrolment code
enroll-code-hint = 8 letters and digits (such as 4F7K-92QX)
enroll-button = Get the certificate
enroll-unreadable = An enrolment code has 8 letters and digits (such as 4F7K-92QX). Please check it and type it again.
enroll-wrong = The enrolment code is not right, was used before, or its time is over. After five wrong tries it ends; then ask for a new one.
enroll-whence = How to get an enrolment code
enroll-whence-how = The administrator adds a terminal under "Administration", or chooses the one to be moved, and makes a code. Where no terminal can connect, ask the support.
landing-enroll = If you have an enrolment code (a new PC, a replacement)
