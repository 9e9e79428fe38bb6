"""What is wrong in a policy document is told with its file, and what seems a slip there is put and told of."""

import json

from hub import USAGE, YES


def document(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def test_an_action_that_nothing_asks_for_is_put_with_a_notice_that_names_the_nearest(hub, tmp_path):
    user, file = hub.create_user("policies"), tmp_path / "entries.json"
    words = ("iam", "policy", "put", "--user", user.name, "entries", "--document", str(file))
    file.write_text(document("eks:CreateAcessEntry"))
    slip = hub.run(*words)
    assert slip.returncode == YES, slip.stderr
    assert json.loads(slip.stdout)["value"]["name"] == "entries"
    assert str(file) in slip.stderr and "did you mean `CreateAccessEntry`?" in slip.stderr
    file.write_text(document("eks:CreateAccessEntry"))
    right = hub.run(*words)
    assert (right.returncode, right.stderr) == (YES, "")


def test_a_document_that_is_none_is_refused_by_its_file(hub, tmp_path):
    user, file = hub.create_user("policies"), tmp_path / "broken.json"
    file.write_text("{")
    why = hub.refused("iam", "policy", "put", "--user", user.name, "p", "--document", str(file), code=USAGE)
    assert str(file) in why, why
    why = hub.refused("iam", "role", "create", "policies-broken", "--trust-policy", str(file), code=USAGE)
    assert str(file) in why, why
