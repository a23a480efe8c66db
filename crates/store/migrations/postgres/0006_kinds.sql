-- What a customer is to the service. The staff of the operator are people of a customer of their own.
ALTER TABLE customers ADD COLUMN kind TEXT NOT NULL DEFAULT 'clinic' CHECK (kind IN ('clinic', 'support-office', 'operator'));
