//! AWS partitions: their names, their DNS domains, and which region belongs to which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::Region;
use crate::shown::shown;

/// One of the separate worlds of AWS. Accounts, ARNs and endpoints never cross from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Partition {
    /// `aws`, the commercial regions.
    Aws,
    /// `aws-us-gov`, GovCloud. It shares its DNS domains with `aws`.
    AwsUsGov,
    /// `aws-cn`, China.
    AwsCn,
    /// `aws-iso`, US isolated.
    AwsIso,
    /// `aws-iso-b`, US isolated.
    AwsIsoB,
    /// `aws-iso-e`, European isolated.
    AwsIsoE,
    /// `aws-iso-f`, US isolated.
    AwsIsoF,
    /// `aws-eusc`, the European Sovereign Cloud.
    AwsEusc,
}

/// The text is not the name of a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a partition: use one of aws, aws-us-gov, aws-cn, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-eusc", shown(.0)
)]
pub struct UnknownPartition(pub String);

impl Partition {
    /// Every partition, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Aws,
        Self::AwsUsGov,
        Self::AwsCn,
        Self::AwsIso,
        Self::AwsIsoB,
        Self::AwsIsoE,
        Self::AwsIsoF,
        Self::AwsEusc,
    ];

    /// The name as it stands in ARNs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsUsGov => "aws-us-gov",
            Self::AwsCn => "aws-cn",
            Self::AwsIso => "aws-iso",
            Self::AwsIsoB => "aws-iso-b",
            Self::AwsIsoE => "aws-iso-e",
            Self::AwsIsoF => "aws-iso-f",
            Self::AwsEusc => "aws-eusc",
        }
    }

    /// The partition of that name, compared exactly (names are lower case).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == name)
    }

    /// The domain under which regional endpoints live: `sts.<region>.<domain>`.
    #[must_use]
    pub const fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
            Self::AwsEusc => "amazonaws.eu",
        }
    }

    /// The domain of dual-stack (IPv6) endpoints, where the partition has them.
    #[must_use]
    pub const fn dual_stack_suffix(self) -> Option<&'static str> {
        match self {
            Self::Aws | Self::AwsUsGov => Some("api.aws"),
            Self::AwsCn => Some("api.amazonwebservices.com.cn"),
            Self::AwsEusc => Some("api.amazonwebservices.eu"),
            Self::AwsIso | Self::AwsIsoB | Self::AwsIsoE | Self::AwsIsoF => None,
        }
    }

    /// The STS host that serves the whole partition and the region it signs for. Only `aws` has one.
    #[must_use]
    pub const fn global_sts(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Aws => Some(("sts.amazonaws.com", "us-east-1")),
            _ => None,
        }
    }

    /// The STS host of a region, as stock clients address it.
    #[must_use]
    pub fn sts_host(self, region: &Region) -> String {
        self.regional_host("sts", region)
    }

    /// The host of a service in a region (`ec2`, `kms`), as the AWS SDKs address it.
    #[must_use]
    pub fn regional_host(self, service: &str, region: &Region) -> String {
        format!("{service}.{region}.{}", self.dns_suffix())
    }

    /// The host of IAM, of which each partition has one, and the region that requests to it sign (botocore's endpoint rules).
    #[must_use]
    pub const fn iam_endpoint(self) -> (&'static str, &'static str) {
        match self {
            Self::Aws => ("iam.amazonaws.com", "us-east-1"),
            Self::AwsUsGov => ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
            Self::AwsCn => ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            Self::AwsIso => ("iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
            Self::AwsIsoB => ("iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
            Self::AwsIsoE => ("iam.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
            Self::AwsIsoF => ("iam.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
            Self::AwsEusc => ("iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        }
    }

    /// The regions that AWS has opened in this partition (a list, so a new region is not on it at first).
    #[must_use]
    pub const fn known_regions(self) -> &'static [&'static str] {
        match self {
            Self::Aws => COMMERCIAL_REGIONS,
            Self::AwsUsGov => &["us-gov-east-1", "us-gov-west-1"],
            Self::AwsCn => &["cn-north-1", "cn-northwest-1"],
            Self::AwsIso => &["us-iso-east-1", "us-iso-west-1"],
            Self::AwsIsoB => &["us-isob-east-1", "us-isob-west-1"],
            Self::AwsIsoE => &["eu-isoe-west-1"],
            Self::AwsIsoF => &["us-isof-east-1", "us-isof-south-1"],
            Self::AwsEusc => &["eusc-de-east-1"],
        }
    }

    /// Whether the region is one of [`Self::known_regions`].
    #[must_use]
    pub fn has_known_region(self, region: &str) -> bool {
        self.known_regions().contains(&region)
    }
}

/// Regions of the commercial partition.
const COMMERCIAL_REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "me-west-1",
    "mx-central-1",
    "sa-east-1",
    "sa-west-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The partition to which a region belongs by its name, as the AWS SDKs decide it (`us-gov-west-1` is GovCloud's, also
/// a region not yet on any list). `None` for a name that follows no partition's rule.
#[must_use]
pub fn partition_of_region(region: &str) -> Option<Partition> {
    // `<area>[-<subarea>]-<word>-<number>`; words hold letters, digits and `_`.
    let (rest, number) = region.rsplit_once('-')?;
    let (area, word) = rest.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_number || !is_word {
        return None;
    }
    match area {
        "us" | "eu" | "ap" | "sa" | "ca" | "me" | "af" | "il" | "mx" => Some(Partition::Aws),
        "us-gov" => Some(Partition::AwsUsGov),
        "cn" => Some(Partition::AwsCn),
        "us-iso" => Some(Partition::AwsIso),
        "us-isob" => Some(Partition::AwsIsoB),
        "eu-isoe" => Some(Partition::AwsIsoE),
        "us-isof" => Some(Partition::AwsIsoF),
        "eusc-de" => Some(Partition::AwsEusc),
        _ => None,
    }
}

impl FromStr for Partition {
    type Err = UnknownPartition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_name(text).ok_or_else(|| UnknownPartition(text.to_owned()))
    }
}

impl TryFrom<String> for Partition {
    type Error = UnknownPartition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Partition> for &'static str {
    fn from(partition: Partition) -> Self {
        partition.as_str()
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_back_from_its_name() {
        for partition in Partition::ALL {
            assert_eq!(partition.as_str().parse(), Ok(partition), "{partition}");
        }
        for name in ["", "AWS", "aws ", "aws-gov", "aws-iso-z"] {
            assert_eq!(name.parse::<Partition>(), Err(UnknownPartition(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_region_belongs_to_the_partition_its_name_says() {
        let cases = [
            ("us-west-2", Some(Partition::Aws)),
            ("eu-nowhere-9", Some(Partition::Aws)),
            ("mx-central-1", Some(Partition::Aws)),
            ("us-gov-east-1", Some(Partition::AwsUsGov)),
            ("cn-northwest-1", Some(Partition::AwsCn)),
            ("us-iso-east-1", Some(Partition::AwsIso)),
            ("us-isob-east-1", Some(Partition::AwsIsoB)),
            ("eu-isoe-west-1", Some(Partition::AwsIsoE)),
            ("us-isof-south-1", Some(Partition::AwsIsoF)),
            ("eusc-de-east-1", Some(Partition::AwsEusc)),
            ("not-a-region", None),
            ("not-a-region1", None),
            ("us-west-", None),
            ("us--2", None),
            ("us-west-2a", None),
            ("US-WEST-2", None),
            ("2", None),
            ("", None),
        ];
        for (region, partition) in cases {
            assert_eq!(partition_of_region(region), partition, "{region}");
        }
    }

    #[test]
    fn the_sts_of_a_region_is_where_its_partition_has_it() {
        let cases = [
            ("eu-west-1", "sts.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            ("us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "sts.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", "sts.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", "sts.us-isof-south-1.csp.hci.ic.gov"),
            ("eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
        ];
        for (partition, (region, host)) in Partition::ALL.into_iter().zip(cases) {
            assert!(partition.has_known_region(region), "{region} in {partition}");
            assert_eq!(partition.sts_host(&Region::parse(region).unwrap()), host);
        }
    }

    #[test]
    fn every_known_region_follows_the_naming_rule_of_its_partition() {
        for partition in Partition::ALL {
            for region in partition.known_regions() {
                assert_eq!(partition_of_region(region), Some(partition), "{region}");
            }
            let (host, region) = partition.iam_endpoint();
            assert!(partition.has_known_region(region), "{host} signs for {region}");
            assert!(host.starts_with("iam.") && host.ends_with(partition.dns_suffix()), "{host}");
        }
        assert!(Partition::Aws.has_known_region("us-west-2"));
        assert!(!Partition::AwsCn.has_known_region("us-west-2"));
    }
}
