# 運用コンソール, for the operator's staff. 期限切れ is expired, 失効（無効化） is revoked.

console-title = Operations console
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
console-next = Next 100
