// What the AWS SDK for JavaScript finds where nobody tells it of credentials but the variables of container credentials: its default
// chain, as a client of it uses that. Prints them as JSON.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.AWS_SDK_JS, "package.json"));
const { STSClient } = require("@aws-sdk/client-sts");

const client = new STSClient({ region: process.env.AWS_REGION });
const { accessKeyId, secretAccessKey, sessionToken, expiration, accountId } = await client.config.credentials();
console.log(JSON.stringify({ accessKeyId, secretAccessKey, sessionToken, expiration, accountId }));
