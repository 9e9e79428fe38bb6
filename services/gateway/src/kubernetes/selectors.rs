//! Field and label selectors of a review (KEP-4601): what cannot be read leaves the review unscoped.

use lanyard_api::authz::{SelectorRequirement, Selectors};
use serde_json::Value;

/// Most requirements of one selector that are kept.
const REQUIREMENTS_MAX: usize = 64;

/// Reads both selectors; none if there is none, or if one of them has a requirement that cannot be read.
pub(super) fn read(field: Option<&Value>, label: Option<&Value>) -> Option<Selectors> {
    if field.is_none() && label.is_none() {
        return None;
    }
    let requirements = |selector: Option<&Value>| match selector {
        None => Some(Vec::new()),
        Some(selector) => {
            let list = selector.get("requirements")?.as_array()?;
            if list.len() > REQUIREMENTS_MAX {
                return None;
            }
            list.iter().map(requirement).collect()
        }
    };
    Some(Selectors { field: requirements(field)?, label: requirements(label)? })
}

fn requirement(value: &Value) -> Option<SelectorRequirement> {
    let operator = value.get("operator")?.as_str()?;
    let values: Vec<String> = match value.get("values") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => {
            list.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
    };
    let fits = match operator {
        "In" | "NotIn" => !values.is_empty(),
        "Exists" | "DoesNotExist" => values.is_empty(),
        _ => false,
    };
    let key = value.get("key")?.as_str()?.to_owned();
    (fits && !key.is_empty()).then(|| SelectorRequirement { key, operator: operator.to_owned(), values })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn immunity_30_selectors_that_cannot_be_read_leave_the_review_unscoped() {
        for bad in [
            json!({"requirements": [{"key": "a", "operator": "Near", "values": ["b"]}]}),
            json!({"requirements": [{"key": "a", "operator": "In"}]}),
            json!({"requirements": [{"operator": "Exists"}]}),
            json!({"requirements": [{"key": "a", "operator": "Exists", "values": ["x"]}]}),
            json!({"rawSelector": "a=b"}),
            json!("a=b"),
        ] {
            assert_eq!(read(Some(&bad), None), None, "{bad}");
            assert_eq!(read(None, Some(&bad)), None, "{bad}");
        }
        let good = json!({"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]});
        assert_eq!(read(Some(&good), None).unwrap().field.len(), 1);
    }
}
