//! EC2 as the hub: what instances are called.

use lanyard_iam::{AccountId, Arn, Partition, Region};

use super::call::{Api, Call, Whose, regional};
use super::wire::{Unreadable, Wire};
use super::{AwsClient, AwsFault};
use crate::metered::Service;
use crate::xml::{Element, XmlError};

pub(super) const EC2: Api =
    Api { service: Service::Ec2, name: "ec2", version: "2016-11-15", wire: Wire::Ec2 };

/// Instances asked about in one call. EC2 takes 200 values of a filter; the answer has to stay under its limit.
pub(super) const BATCH_MAX: usize = 50;

/// An instance as `DescribeInstances` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) id: String,
    pub(crate) private_dns_name: Option<String>,
    pub(crate) state: String,
    pub(crate) profile: Option<Arn>,
}

impl AwsClient {
    /// Those of the instances that there are in an account and region (`DescribeInstances`). It is asked with a filter: for
    /// ids that it is given as such, EC2 refuses the whole question if one of them does not exist.
    pub(super) async fn instances(
        &self,
        (partition, account, region): (Partition, AccountId, &Region),
        ids: &[String],
    ) -> Result<Vec<Described>, AwsFault> {
        let names: Vec<String> = (1..=ids.len()).map(|at| format!("Filter.1.Value.{at}")).collect();
        let values = names.iter().map(String::as_str).zip(ids.iter().map(String::as_str));
        let parameters: Vec<(&str, &str)> =
            std::iter::once(("Filter.1.Name", "instance-id")).chain(values).collect();
        let call = Call::query(EC2, regional(EC2, partition, region), "ec2:DescribeInstances", &parameters);
        let whose = Whose::Account(partition, account);
        self.call(whose, &call, |answer| instances_in(&answer.body, account, ids)).await
    }
}

/// The instances in the answer to `DescribeInstances`: of the account, and among the ids, that were asked about.
pub(crate) fn instances_in(
    body: &[u8],
    account: AccountId,
    asked: &[String],
) -> Result<Vec<Described>, Unreadable> {
    let root = Element::parse(body, "DescribeInstancesResponse")?;
    // A page that goes on does not tell who is not there. One of so few instances never does.
    if root.maybe_text_of("nextToken")?.is_some() {
        return Err(Unreadable::new("it is one page of several"));
    }
    let mut found: Vec<Described> = Vec::new();
    for reservation in root.one("reservationSet")?.all("item") {
        if reservation.text_of("ownerId")? != account.as_str() {
            return Err(Unreadable::new("it is about another account's instances"));
        }
        for instance in reservation.one("instancesSet")?.all("item") {
            let described = described(instance)?;
            if !asked.contains(&described.id) || found.iter().any(|other| other.id == described.id) {
                return Err(Unreadable::new("it is about other instances"));
            }
            found.push(described);
        }
    }
    Ok(found)
}

fn described(instance: &Element) -> Result<Described, Unreadable> {
    let profile = instance.maybe("iamInstanceProfile")?;
    let profile = profile.map(|profile| profile.text_of("arn")).transpose()?;
    let profile = profile.map(Arn::parse).transpose().map_err(|error| Unreadable::new(error.to_string()))?;
    Ok(Described {
        id: instance.text_of("instanceId")?.to_owned(),
        private_dns_name: instance.maybe_text_of("privateDnsName")?.map(str::to_owned),
        state: state(instance)?.to_owned(),
        profile,
    })
}

fn state(instance: &Element) -> Result<&str, XmlError> {
    instance.one("instanceState")?.text_of("name")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn instance(id: &str, more: &str) -> String {
        format!(
            "<item><instanceId>{id}</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name>\
             </instanceState>{more}<networkInterfaceSet><item><privateDnsName>other</privateDnsName></item>\
             </networkInterfaceSet></item>"
        )
    }

    fn answer(owner: &str, instances: &str) -> String {
        format!(
            "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>\
             <reservationSet><item><reservationId>r-1</reservationId><ownerId>{owner}</ownerId><groupSet/><instancesSet>\
             {instances}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
        )
    }

    fn read(body: &str) -> Result<Vec<Described>, Unreadable> {
        let asked = ["i-0123456789abcdef0", "i-12345678"].map(str::to_owned);
        instances_in(body.as_bytes(), AccountId::parse(ACCOUNT).unwrap(), &asked)
    }

    #[test]
    fn instances_are_read_with_name_state_and_profile() {
        let profile = "arn:aws:iam::111122223333:instance-profile/nodes";
        let more = format!(
            "<privateDnsName>ip-10-0-0-1.ec2.internal</privateDnsName><iamInstanceProfile><arn>{profile}</arn><id>AIPA1</id>\
             </iamInstanceProfile>"
        );
        let body = answer(
            ACCOUNT,
            &(instance("i-0123456789abcdef0", &more) + &instance("i-12345678", "<privateDnsName/>")),
        );
        let found = read(&body).unwrap();
        let first = Described {
            id: "i-0123456789abcdef0".to_owned(),
            private_dns_name: Some("ip-10-0-0-1.ec2.internal".to_owned()),
            state: "running".to_owned(),
            profile: Some(Arn::parse(profile).unwrap()),
        };
        assert_eq!(found[0], first);
        assert_eq!((found[1].private_dns_name.as_ref(), found[1].profile.as_ref()), (None, None));
        let nobody = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
        assert_eq!(read(nobody), Ok(Vec::new()));
    }

    #[test]
    fn an_answer_about_others_or_in_part_is_none() {
        let good = answer(ACCOUNT, &instance("i-12345678", ""));
        assert!(read(&good).is_ok());
        let cases = [
            (answer("444455556666", &instance("i-12345678", "")), "another account"),
            (answer(ACCOUNT, &instance("i-87654321", "")), "other instances"),
            (answer(ACCOUNT, &instance("i-12345678", "").repeat(2)), "other instances"),
            (good.replace("<reservationSet>", "<nextToken>x</nextToken><reservationSet>"), "several"),
            (good.replace("reservationSet", "set"), "no `reservationSet`"),
            (good.replace("<instanceId>i-12345678</instanceId>", ""), "no `instanceId`"),
            (good.replace("running", "running</name><name>stopped"), "`name` twice"),
            (
                answer(
                    ACCOUNT,
                    &instance("i-12345678", "<iamInstanceProfile><arn>x</arn></iamInstanceProfile>"),
                ),
                "`x`",
            ),
            (good.replace("DescribeInstances", "DescribeImages"), "not a `DescribeInstancesResponse`"),
            (good[..good.len() - 9].to_owned(), "not well-formed"),
        ];
        for (body, words) in cases {
            let error = read(&body).unwrap_err().to_string();
            assert!(error.contains(words), "{body}: {error}");
        }
    }
}
