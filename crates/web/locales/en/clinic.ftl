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
