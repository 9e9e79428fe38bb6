//! The aws-auth in force, as grants.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use lanyard_api::{
    ClusterUid, EntryId, UserInfo,
    aws_auth::{AwsAuth, AwsAuthLine, AwsAuthPart},
    grants::aws_auth_grant,
    mapping::GrantKind,
};
use lanyard_iam::CanonicalArn;

use crate::grant::{Badge, Grant};

/// Its lines by their grants' numbers. None gives access policies.
#[derive(Debug)]
pub(crate) struct AwsAuthGrants {
    cluster: ClusterUid,
    grants: HashMap<EntryId, Arc<Grant>, RandomState>,
}

impl AwsAuthGrants {
    pub(crate) fn compile(cluster: ClusterUid, content: &str) -> Self {
        let AwsAuth { lines, accounts, .. } = AwsAuth::of_accepted(content).auth;
        let of_lines = lines.iter().map(|line| of_line(cluster, line));
        let of_accounts = accounts.iter().map(|mapped| {
            let id = aws_auth_grant(cluster, AwsAuthPart::MapAccounts, mapped.account.as_str());
            Grant::new(id, GrantKind::AwsAuth, Badge::PrincipalOf(mapped.account), None, [])
        });
        let grants = of_lines.chain(of_accounts).map(|grant| (grant.id, Arc::new(grant))).collect();
        Self { cluster, grants }
    }

    /// The grant of this number, or the one that goes before it: a principal that `mapAccounts` let in under its ARN may
    /// have a line of its own by now.
    pub(crate) fn grant(&self, id: EntryId, user: &UserInfo) -> Option<&Arc<Grant>> {
        let grant = self.grants.get(&id)?;
        let own_line = if grant.is_by_account() { self.line_of(&user.username) } else { None };
        Some(own_line.unwrap_or(grant))
    }

    fn line_of(&self, arn: &str) -> Option<&Arc<Grant>> {
        let key = CanonicalArn::parse(arn).ok()?.folded();
        [AwsAuthPart::MapRoles, AwsAuthPart::MapUsers]
            .into_iter()
            .find_map(|part| self.grants.get(&aws_auth_grant(self.cluster, part, key.as_str())))
    }
}

fn of_line(cluster: ClusterUid, line: &AwsAuthLine) -> Grant {
    let id = aws_auth_grant(cluster, line.part, line.key().as_str());
    let (username, groups) = (line.username.clone(), line.groups.clone().into());
    let badge = if line.is_for_nodes() {
        Badge::Node { username, groups }
    } else {
        Badge::Named { username, groups }
    };
    Grant::new(id, GrantKind::AwsAuth, badge, None, [])
}
