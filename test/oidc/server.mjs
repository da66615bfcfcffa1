// oidc-provider as the end-to-end tests run it: short lifetimes, strict
// rotation, a password grant, and a store that survives a restart.
//
//   node server.mjs '{"port":4000,"ttl":5,"store":"/tmp/x.json","clients":[…],"accounts":{"ann":"pw"}}'
//
// Standard output carries one JSON object a line: {"event":"ready"}, then what
// the provider itself reports about grants. Standard input takes one command a
// line: {"do":"drop-refresh-tokens"} forgets every refresh token, and leaves the
// access tokens alone. Neither carries a token or a secret.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import Provider, { errors } from 'oidc-provider';

const options = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${options.port}`;
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

// One map for all models, written out at every change: small, and never ahead
// of what a client was told.
class Store {
  constructor(path) {
    this.path = path;
    this.entries = new Map();
    try {
      this.entries = new Map(JSON.parse(readFileSync(path, 'utf8')));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }

  get(key) {
    const entry = this.entries.get(key);
    if (entry?.until && entry.until <= Date.now()) {
      this.entries.delete(key);
      return undefined;
    }
    return entry?.payload;
  }

  set(key, payload, seconds) {
    this.entries.set(key, { payload, until: seconds ? Date.now() + seconds * 1000 : 0 });
    this.flush();
  }

  deleteWhere(match) {
    for (const [key, { payload }] of this.entries) {
      if (match(key, payload)) this.entries.delete(key);
    }
    this.flush();
  }

  flush() {
    for (const [key, { until }] of this.entries) {
      if (until && until <= Date.now()) this.entries.delete(key);
    }
    writeFileSync(`${this.path}.new`, JSON.stringify([...this.entries]));
    renameSync(`${this.path}.new`, this.path);
  }
}

const store = new Store(options.store);

class Adapter {
  constructor(model) {
    this.prefix = `${model}:`;
  }

  async upsert(id, payload, seconds) { store.set(this.prefix + id, payload, seconds); }

  async find(id) { return store.get(this.prefix + id); }

  async findByUid(uid) { return this.#findBy('uid', uid); }

  async findByUserCode(code) { return this.#findBy('userCode', code); }

  async destroy(id) { store.deleteWhere((key) => key === this.prefix + id); }

  async consume(id) {
    store.get(this.prefix + id).consumed = Math.floor(Date.now() / 1000);
    store.flush();
  }

  async revokeByGrantId(grantId) {
    store.deleteWhere((key, payload) => key.startsWith(this.prefix) && payload.grantId === grantId);
  }

  #findBy(field, value) {
    for (const [key, { payload }] of store.entries) {
      if (key.startsWith(this.prefix) && payload[field] === value) return payload;
    }
    return undefined;
  }
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const provider = new Provider(issuer, {
  adapter: Adapter,
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  clients: options.clients,
  scopes: ['openid', 'offline_access', 'api'],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  clientDefaults: { id_token_signed_response_alg: 'ES256', response_types: [], redirect_uris: [] },
  rotateRefreshToken: true,
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
  },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: {
    AccessToken: options.ttl,
    ClientCredentials: options.ttl,
    RefreshToken: 24 * 3600,
    Grant: 24 * 3600,
    IdToken: 3600,
    Interaction: 3600,
    Session: 3600,
  },
});

// RFC 6749 section 4.3; OpenID Connect has no use for this grant, so it is ours.
async function passwordGrant(ctx) {
  const { client, params } = ctx.oidc;
  const { username, password } = params;
  if (!Object.hasOwn(options.accounts, username) || options.accounts[username] !== password) {
    throw new errors.InvalidGrant('wrong username or password');
  }
  const scope = params.scope || 'openid api';
  const grant = new provider.Grant({ accountId: username, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const common = {
    accountId: username, client, grantId, scope, gty: 'password',
  };
  const accessToken = new provider.AccessToken(common);
  const refreshToken = new provider.RefreshToken({ ...common, rotations: 0 });
  ctx.oidc.entity('AccessToken', accessToken);
  ctx.oidc.entity('RefreshToken', refreshToken);
  ctx.body = {
    access_token: await accessToken.save(),
    expires_in: accessToken.expiration,
    refresh_token: await refreshToken.save(),
    scope,
    token_type: accessToken.tokenType,
  };
}
provider.registerGrantType('password', passwordGrant, ['username', 'password', 'scope']);

const about = (ctx) => ({
  client: ctx.oidc?.client?.clientId,
  grant: ctx.oidc?.params?.grant_type,
});
provider.on('grant.success', (ctx) => say({ event: 'granted', ...about(ctx) }));
provider.on('grant.error', (ctx, error) => say({ event: 'refused', ...about(ctx), error: error.error, detail: error.error_detail }));
provider.on('grant.revoked', (ctx) => say({ event: 'revoked', ...about(ctx) }));
provider.on('server_error', (ctx, error) => say({ event: 'server_error', detail: String(error) }));

const commands = {
  'drop-refresh-tokens': () => store.deleteWhere((key) => key.startsWith('RefreshToken:')),
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const { do: name } = JSON.parse(line);
  commands[name]();
  say({ event: 'done', detail: name });
});

const server = provider.listen(options.port, '127.0.0.1', () => say({ event: 'ready' }));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
