# What programs are told, and whoever reads their logs. The codes are part of the interface.

api-no-certificate = No certificate was shown
api-foreign-certificate = Not a certificate of this service
api-expired-certificate = The certificate has expired
api-revoked-certificate = The certificate is revoked
api-not-yet-valid-certificate = The certificate is not valid yet
api-trust-unknowable = The service cannot check certificates at the moment
api-too-early = It is too early to renew
api-terminal-retired = The terminal is out of service
api-renewal-refused = The certificate may not be renewed
api-no-agents = This service has no agents
api-key-kind = Keys of this kind are not certified
api-names-differ = The request asks for other names than the certificate has
api-nothing-to-renew = There is no certificate to renew yet
api-too-many-certificates = Too many certificates were issued to this terminal today
api-wrong-code = The enrolment code is not right
api-too-many-codes = Too many enrolment codes were tried
api-approval-pending = The operator has yet to approve the enrolment
api-code-lapsed = The enrolment code has lapsed
api-code-used = The enrolment code was used before
api-enrollment-refused = The operator has refused the enrolment
api-content-type = The body is of another kind than expected
api-request-too-long = The request is too long
api-bad-request = The certification request cannot be read
api-no-such-certificate = This terminal has no such certificate
api-no-such-method = This address does not answer to this method
api-internal = Something went wrong in the service
