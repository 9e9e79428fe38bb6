-- What belongs to one user, role or principal, in the order in which it is listed. With the order in the index no other way to it, such
-- as through all that the account has, looks nearer to a database that has counted nothing.
DROP INDEX access_keys_by_user;
CREATE INDEX access_keys_by_user ON access_keys (account, user_name, id);
DROP INDEX inline_policies_by_user;
CREATE INDEX inline_policies_by_user ON inline_policies (account, user_name, key);
DROP INDEX inline_policies_by_role;
CREATE INDEX inline_policies_by_role ON inline_policies (account, role_name, key);
DROP INDEX inline_policies_by_principal;
CREATE INDEX inline_policies_by_principal ON inline_policies (account, principal_arn, key);
DROP INDEX instance_profiles_by_role;
CREATE INDEX instance_profiles_by_role ON instance_profiles (account, role_name, name);
