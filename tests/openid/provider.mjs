// An OpenID provider on loopback for tests: oidc-provider with its own pages for signing in, where any name and any
// password will do. `node provider.mjs [PORT]` prints its issuer as one line of JSON, reads one line of JSON with
// the address that it may lead back to, and serves until its standard input ends. Every start has new keys.
//
// Whoever signs in as NAME is NAME@example.com; the address counts as verified unless the name begins with "un".
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

/** Answers once the provider knows where it may lead back to. */
let serve = (_request, reply) => reply.writeHead(503).end();
const server = createServer((request, reply) => serve(request, reply));
await new Promise((resolve) => server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(JSON.stringify({ issuer }));

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => {
  serve = makeProvider(JSON.parse(line)).callback();
  console.log(JSON.stringify({ ready: true }));
});
lines.once("close", () => process.exit(0));

function key(type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), use: "sig", kid: randomBytes(8).toString("hex") };
}

function makeProvider({ redirect_uri, alg = "RS256" }) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "wharf",
      client_secret: "a secret of the client",
      redirect_uris: [redirect_uri],
      post_logout_redirect_uris: [redirect_uri],
      id_token_signed_response_alg: alg,
    }],
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      profile: ["name", "preferred_username"],
    },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@example.com`,
        email_verified: !id.startsWith("un"),
        preferred_username: id,
        name: `${id} Example`,
      }),
    }),
    pkce: { required: () => true },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    jwks: { keys: [key("rsa", { modulusLength: 2048 }), key("ec", { namedCurve: "P-256" }), key("ed25519")] },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  });
  provider.on("server_error", (_context, error) => console.error(error));
  return provider;
}
