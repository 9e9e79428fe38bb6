// One pass of the story with the AWS SDK for JavaScript: its own decoders, its waiters and paginators, its classes of errors.
// Prints secrets as it makes them, each on a line that begins with `secret `, and last what it has seen, as JSON.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(join(process.env.AWS_SDK_JS, "package.json"));
const eks = require("@aws-sdk/client-eks");
const iam = require("@aws-sdk/client-iam");
const sts = require("@aws-sdk/client-sts");

const { ACCOUNT: account, NAME: name, AWS_REGION: region } = process.env;
const VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
// Replicas see each other's changes within so long: who asks another one waits.
const seen = Number(process.env.SEEN_MILLISECONDS ?? 0);
const caught = [];
let calls = 0;

/** A client whose calls are each one of its own, though two of one second may be equal. */
function client(Client, credentials) {
  const made = new Client({ region, maxAttempts: 1, ...(credentials && { credentials }) });
  const own = (next) => async (args) => {
    await sleep(seen);
    args.request.headers["x-test-number"] = randomUUID();
    calls += 1;
    return next(args);
  };
  made.middlewareStack.add(own, { step: "build", name: "itsOwn" });
  return made;
}

/** The call has to fail with an error of this very class. */
async function refused(call, Class, status) {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof Class, `${error.name} (${error.constructor.name}) is no ${Class.name}: ${error.message}`);
    assert.equal(error.constructor, Class);
    assert.equal(error.$metadata.httpStatusCode, status);
    assert.ok(error.$metadata.requestId, "an error has the request's number");
    assert.ok(error.message.length > 0);
    assert.equal(error.$fault, "client");
    caught.push(Class.name);
    return error;
  }
  throw new Error(`no ${Class.name}`);
}

/** All pages of a paginator, one item a page. */
async function all(pages, key) {
  const found = [];
  for await (const page of pages) found.push(...(page[key] ?? []));
  return found;
}

function policy(statement) {
  return JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] });
}

const E = client(eks.EKSClient);
const I = client(iam.IAMClient);
const S = client(sts.STSClient);

// Who calls.
const caller = await S.send(new sts.GetCallerIdentityCommand({}));
assert.equal(caller.Account, account);
assert.match(caller.Arn, /:user\//);

// A user with a key and a policy, a role that the user may assume, an OIDC provider.
const { User: user } = await I.send(
  new iam.CreateUserCommand({ UserName: name, Path: "/team/", Tags: [{ Key: "team", Value: "a" }] }),
);
assert.ok(user.CreateDate instanceof Date && !Number.isNaN(user.CreateDate.getTime()));
assert.equal(user.Arn, `arn:aws:iam::${account}:user/team/${name}`);
assert.deepEqual((await I.send(new iam.GetUserCommand({ UserName: name }))).User, user);
await iam.waitUntilUserExists({ client: I, maxWaitTime: 10, minDelay: 1, maxDelay: 1 }, { UserName: name });
const { AccessKey: key } = await I.send(new iam.CreateAccessKeyCommand({ UserName: name }));
console.log(`secret ${key.SecretAccessKey}`);
assert.equal(key.Status, "Active");
const trust = policy({ Principal: { AWS: user.Arn }, Action: ["sts:AssumeRole", "sts:TagSession"] });
const { Role: role } = await I.send(
  new iam.CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trust, MaxSessionDuration: 7200, Description: "a & <b>" }),
);
assert.equal(role.MaxSessionDuration, 7200);
assert.deepEqual(JSON.parse(decodeURIComponent(role.AssumeRolePolicyDocument)), JSON.parse(trust));
const read = (await I.send(new iam.GetRoleCommand({ RoleName: name }))).Role;
assert.equal(read.Description, "a & <b>");
await I.send(new iam.UpdateRoleCommand({ RoleName: name, Description: "c", MaxSessionDuration: 3600 }));
const described = await I.send(new iam.UpdateRoleDescriptionCommand({ RoleName: name, Description: "d" }));
assert.equal(described.Role.Description, "d");
await I.send(
  new iam.PutRolePolicyCommand({ RoleName: name, PolicyName: "p", PolicyDocument: policy({ Action: "eks:*", Resource: "*" }) }),
);
const inline = await I.send(new iam.GetRolePolicyCommand({ RoleName: name, PolicyName: "p" }));
assert.equal(JSON.parse(decodeURIComponent(inline.PolicyDocument)).Statement[0].Action, "eks:*");
assert.ok((await all(iam.paginateListRoles({ client: I, pageSize: 1 }, {}), "Roles")).some((one) => one.RoleName === name));
const { OpenIDConnectProviderArn: provider } = await I.send(
  new iam.CreateOpenIDConnectProviderCommand({ Url: `https://${name}.example`, ClientIDList: ["sts.amazonaws.com"] }),
);
const shown = await I.send(new iam.GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: provider }));
assert.deepEqual([shown.Url, shown.ClientIDList], [`${name}.example`, ["sts.amazonaws.com"]]);
const listed = await I.send(new iam.ListOpenIDConnectProvidersCommand({}));
assert.ok(listed.OpenIDConnectProviderList.some((one) => one.Arn === provider));

// A cluster, an entry with a policy, a Pod Identity association, an identity provider, tags.
const roleArn = `arn:aws:iam::${account}:role/cluster`;
const made = await E.send(
  new eks.CreateClusterCommand({
    name,
    roleArn,
    resourcesVpcConfig: { subnetIds: ["subnet-1"] },
    accessConfig: { authenticationMode: "API_AND_CONFIG_MAP" },
    tags: { team: "a" },
  }),
);
assert.ok(made.cluster.createdAt instanceof Date && !Number.isNaN(made.cluster.createdAt.getTime()));
const waited = await eks.waitUntilClusterActive({ client: E, maxWaitTime: 10, minDelay: 1, maxDelay: 1 }, { name });
assert.equal(waited.state, "SUCCESS");
const { cluster } = await E.send(new eks.DescribeClusterCommand({ name }));
assert.deepEqual(cluster, made.cluster);
assert.ok((await all(eks.paginateListClusters({ client: E, pageSize: 1 }, {}), "clusters")).includes(name));
const { update } = await E.send(
  new eks.UpdateClusterConfigCommand({ name, accessConfig: { authenticationMode: "API" } }),
);
assert.deepEqual((await E.send(new eks.DescribeUpdateCommand({ name, updateId: update.id }))).update, update);
const own = { clusterName: name, principalArn: role.Arn };
const entry = (await E.send(new eks.CreateAccessEntryCommand({ ...own, kubernetesGroups: ["viewers"], tags: { a: "b" } }))).accessEntry;
assert.deepEqual((await E.send(new eks.DescribeAccessEntryCommand(own))).accessEntry, entry);
const renamed = await E.send(new eks.UpdateAccessEntryCommand({ ...own, username: "dev:{{SessionName}}" }));
assert.equal(renamed.accessEntry.username, "dev:{{SessionName}}");
const scope = { type: "namespace", namespaces: ["a", "b-*"] };
const associated = await E.send(new eks.AssociateAccessPolicyCommand({ ...own, policyArn: VIEW, accessScope: scope }));
assert.deepEqual(associated.associatedAccessPolicy.accessScope, scope);
const policies = await all(eks.paginateListAssociatedAccessPolicies({ client: E, pageSize: 1 }, own), "associatedAccessPolicies");
assert.deepEqual(policies.map((one) => one.policyArn), [VIEW]);
const entries = await all(eks.paginateListAccessEntries({ client: E, pageSize: 1 }, { clusterName: name }), "accessEntries");
assert.deepEqual(entries.sort(), [caller.Arn, role.Arn].sort());
assert.ok((await all(eks.paginateListAccessPolicies({ client: E, pageSize: 5 }, {}), "accessPolicies")).length > 5);
const pods = policy({ Principal: { Service: "pods.eks.amazonaws.com" }, Action: ["sts:AssumeRole", "sts:TagSession"] });
const app = (await I.send(new iam.CreateRoleCommand({ RoleName: `${name}-app`, AssumeRolePolicyDocument: pods, Tags: [{ Key: "lanyard:any-cluster", Value: "true" }] }))).Role;
const { association } = await E.send(
  new eks.CreatePodIdentityAssociationCommand({ clusterName: name, namespace: "a", serviceAccount: "bot", roleArn: app.Arn }),
);
const pod = { clusterName: name, associationId: association.associationId };
assert.deepEqual((await E.send(new eks.DescribePodIdentityAssociationCommand(pod))).association, association);
const oidc = { identityProviderConfigName: "okta", issuerUrl: `https://${name}.example`, clientId: name, requiredClaims: { a: "b" } };
await E.send(new eks.AssociateIdentityProviderConfigCommand({ clusterName: name, oidc }));
const config = { clusterName: name, identityProviderConfig: { type: "oidc", name: "okta" } };
const told = await E.send(new eks.DescribeIdentityProviderConfigCommand(config));
assert.equal(told.identityProviderConfig.oidc.status, "ACTIVE");
assert.deepEqual(told.identityProviderConfig.oidc.requiredClaims, { a: "b" });
await E.send(new eks.TagResourceCommand({ resourceArn: cluster.arn, tags: { stage: "live" } }));
await E.send(new eks.UntagResourceCommand({ resourceArn: cluster.arn, tagKeys: ["team"] }));
const { tags } = await E.send(new eks.ListTagsForResourceCommand({ resourceArn: cluster.arn }));
assert.deepEqual(tags, { stage: "live" });

// The user's session of the role, which is who it says.
const mine = client(sts.STSClient, { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey });
const assumed = await mine.send(
  new sts.AssumeRoleCommand({ RoleArn: role.Arn, RoleSessionName: "night", Tags: [{ Key: "team", Value: "a" }] }),
);
const { Credentials: session } = assumed;
console.log(`secret ${session.SecretAccessKey}`);
console.log(`secret ${session.SessionToken}`);
assert.ok(session.Expiration instanceof Date && session.Expiration > new Date());
const credentials = {
  accessKeyId: session.AccessKeyId,
  secretAccessKey: session.SecretAccessKey,
  sessionToken: session.SessionToken,
};
const who = await client(sts.STSClient, credentials).send(new sts.GetCallerIdentityCommand({}));
assert.equal(who.Arn, `arn:aws:sts::${account}:assumed-role/${name}/night`);
assert.ok((await client(eks.EKSClient, credentials).send(new eks.ListClustersCommand({}))).clusters.includes(name));

// Errors, by their classes.
const none = await refused(E.send(new eks.DescribeClusterCommand({ name: "none" })), eks.ResourceNotFoundException, 404);
assert.equal(none.clusterName, "none");
const group = { clusterName: name, principalArn: user.Arn, kubernetesGroups: ["system:masters"] };
await refused(E.send(new eks.CreateAccessEntryCommand(group)), eks.InvalidParameterException, 400);
await refused(E.send(new eks.CreateAccessEntryCommand(own)), eks.ResourceInUseException, 409);
await refused(E.send(new eks.ListTagsForResourceCommand({ resourceArn: `${cluster.arn}-none` })), eks.NotFoundException, 404);
await refused(E.send(new eks.ListTagsForResourceCommand({ resourceArn: "tags" })), eks.BadRequestException, 400);
await refused(I.send(new iam.GetRoleCommand({ RoleName: `${name}-none` })), iam.NoSuchEntityException, 404);
await refused(
  I.send(new iam.CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trust })),
  iam.EntityAlreadyExistsException,
  409,
);
await refused(
  I.send(new iam.UpdateAssumeRolePolicyCommand({ RoleName: name, PolicyDocument: "{}" })),
  iam.MalformedPolicyDocumentException,
  400,
);
const { AccessKey: second } = await I.send(new iam.CreateAccessKeyCommand({ UserName: name }));
console.log(`secret ${second.SecretAccessKey}`);
await refused(I.send(new iam.CreateAccessKeyCommand({ UserName: name })), iam.LimitExceededException, 409);
const exchange = { RoleArn: role.Arn, RoleSessionName: "job", WebIdentityToken: "a.b.c" };
await refused(S.send(new sts.AssumeRoleWithWebIdentityCommand(exchange)), sts.InvalidIdentityTokenException, 400);
// Errors that the models have no class for are the service's own, with the code as name.
const stranger = client(eks.EKSClient, { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey });
await assert.rejects(stranger.send(new eks.ListClustersCommand({})), (error) => {
  assert.ok(error instanceof eks.EKSServiceException);
  assert.equal(error.name, "AccessDeniedException");
  return true;
});
await assert.rejects(mine.send(new sts.AssumeRoleCommand({ RoleArn: app.Arn, RoleSessionName: "no" })), (error) => {
  assert.ok(error instanceof sts.STSServiceException);
  assert.equal(error.name, "AccessDenied");
  return true;
});

// And away again.
const gone = await E.send(new eks.DeletePodIdentityAssociationCommand(pod));
assert.deepEqual(gone.association, association);
await E.send(new eks.DisassociateIdentityProviderConfigCommand(config));
await E.send(new eks.DisassociateAccessPolicyCommand({ ...own, policyArn: VIEW }));
await E.send(new eks.DeleteAccessEntryCommand(own));
assert.equal((await E.send(new eks.DeleteClusterCommand({ name }))).cluster.status, "DELETING");
await eks.waitUntilClusterDeleted({ client: E, maxWaitTime: 10, minDelay: 1, maxDelay: 1 }, { name });
await I.send(new iam.DeleteOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: provider }));
await I.send(new iam.DeleteRolePolicyCommand({ RoleName: name, PolicyName: "p" }));
for (const RoleName of [name, app.RoleName]) await I.send(new iam.DeleteRoleCommand({ RoleName }));
for (const one of [key, second]) await I.send(new iam.DeleteAccessKeyCommand({ UserName: name, AccessKeyId: one.AccessKeyId }));
await I.send(new iam.DeleteUserCommand({ UserName: name }));

console.log(JSON.stringify({ caught, calls }));
