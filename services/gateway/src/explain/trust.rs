//! Who would vouch for somebody by name, where the cluster trusts anybody to.
//!
//! authn lets in whoever is of an account that the cluster trusts, and looks at that before anything is mapped. Somebody by name is
//! held against the same list, so that what is explained is what a token of theirs would meet.

use lanyard_api::{Authority, mapping::Cluster};
use lanyard_iam::PrincipalArn;

/// Accounts that are named; of more there is the number.
const NAMED_MAX: usize = 10;

/// Why no token of somebody's would be let in: authn's code for it, and what is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Untrusted {
    pub(super) code: &'static str,
    pub(super) lines: Vec<String>,
}

/// Whom the cluster trusts to vouch for the principal: the authority that was asked about, or the one that its account has there.
pub(super) fn vouching(
    cluster: &Cluster,
    asked: Option<Authority>,
    arn: &PrincipalArn,
) -> Result<Authority, Untrusted> {
    if arn.partition != cluster.partition {
        let line = format!(
            "a token of `{arn}` would be refused: the principal is of partition `{}`, the cluster of `{}`",
            arn.partition, cluster.partition
        );
        return Err(Untrusted { code: "partition", lines: vec![line] });
    }
    let pair = cluster.trusted_accounts.iter().find(|pair| pair.account == arn.account);
    match (pair, asked) {
        (Some(pair), None) => Ok(pair.authority.clone()),
        (Some(pair), Some(asked)) if pair.authority == asked => Ok(asked),
        (_, asked) => {
            let of = asked.map(|asked| format!(" of authority `{asked}`")).unwrap_or_default();
            let line = format!(
                "a token of `{arn}` would be refused: cluster `{}` does not let in account `{}`{of}",
                cluster.id, arn.account
            );
            Err(Untrusted { code: "account_not_trusted", lines: vec![line, trusted(cluster)] })
        }
    }
}

fn trusted(cluster: &Cluster) -> String {
    let pairs = cluster.trusted_accounts.iter();
    let named: Vec<String> =
        pairs.take(NAMED_MAX).map(|pair| format!("{}/{}", pair.authority, pair.account)).collect();
    let more = cluster.trusted_accounts.len() - named.len();
    match more {
        0 => format!("the cluster trusts: {}", named.join(", ")),
        more => format!("the cluster trusts: {} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::{TrustedAccount, mapping::AuthenticationMode};

    use super::*;

    fn pair(authority: Authority, account: &str) -> TrustedAccount {
        TrustedAccount { authority, account: account.parse().unwrap() }
    }

    fn world() -> Cluster {
        let trusted_accounts =
            vec![pair(Authority::Local, "111122223333"), pair(Authority::Aws, "444455556666")];
        Cluster { trusted_accounts, ..super::super::advice::tests::cluster(AuthenticationMode::Api) }
    }

    #[test]
    fn only_whom_the_cluster_trusts_to_is_taken_to_vouch() {
        let cluster = world();
        for (arn, asked, wanted) in [
            ("arn:aws:iam::111122223333:user/ana", None, Ok(Authority::Local)),
            ("arn:aws:iam::444455556666:role/dev", None, Ok(Authority::Aws)),
            ("arn:aws:iam::444455556666:role/dev", Some(Authority::Aws), Ok(Authority::Aws)),
            ("arn:aws:iam::444455556666:role/dev", Some(Authority::Local), Err("account_not_trusted")),
            ("arn:aws:iam::777788889999:user/eve", None, Err("account_not_trusted")),
            ("arn:aws:iam::777788889999:user/eve", Some(Authority::Local), Err("account_not_trusted")),
            ("arn:aws-cn:iam::111122223333:user/ana", None, Err("partition")),
        ] {
            let found = vouching(&cluster, asked, &arn.parse().unwrap());
            assert_eq!(found.map_err(|untrusted| untrusted.code), wanted, "{arn}");
        }
    }

    #[test]
    fn whom_the_cluster_trusts_is_named_up_to_a_number() {
        let mut cluster = world();
        let eve: PrincipalArn = "arn:aws:iam::777788889999:user/eve".parse().unwrap();
        let lines = vouching(&cluster, Some(Authority::Aws), &eve).unwrap_err().lines;
        assert!(lines[0].contains("`777788889999` of authority `aws`"), "{lines:?}");
        assert_eq!(lines[1], "the cluster trusts: local/111122223333, aws/444455556666");
        cluster.trusted_accounts = (0..12).map(|nth| pair(Authority::Aws, &format!("{nth:012}"))).collect();
        let lines = vouching(&cluster, None, &eve).unwrap_err().lines;
        assert!(lines[1].ends_with("aws/000000000009 and 2 more"), "{lines:?}");
    }
}
