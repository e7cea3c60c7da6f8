// An OpenID Connect provider: `node provider.mjs FOLDER`, where FOLDER has it installed.
//
// It gives JWT access tokens for client credentials. Its URL is the first line of standard output. Commands come on
// standard input: rotate, down, up. Each is acknowledged by a line that says how often the JWKS was fetched.
import {generateKeyPairSync} from 'node:crypto';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {pathToFileURL} from 'node:url';

const folder = join(process.argv[2], 'node_modules', 'oidc-provider', 'lib', 'index.js');
const {default: Provider} = await import(pathToFileURL(folder));

const server = createServer((request, response) => {
  if (down) return void response.writeHead(503).end();
  if (request.url === '/jwks') fetches += 1;
  answer(request, response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

let answer, down = false, fetches = 0, keys = [];

function rotate() {
  const {privateKey} = generateKeyPairSync('rsa', {modulusLength: 2048});
  const key = {...privateKey.export({format: 'jwk'}), kid: `key-${Date.now()}-${keys.length}`, use: 'sig', alg: 'RS256'};
  keys = [key, ...keys.slice(0, 1)]; // the first one signs, the one before stays published
  answer = new Provider(url, {
    jwks: {keys},
    clients: [{
      client_id: 'photos', client_secret: 's3cret', grant_types: ['client_credentials'], redirect_uris: [],
      response_types: [], scope: 'infer metrics',
    }],
    scopes: ['infer', 'metrics'],
    ttl: {ClientCredentials: 300},
    formats: {customizers: {jwt(context, token, {payload}) { payload.nbf = payload.iat; }}},
    features: {
      devInteractions: {enabled: false},
      clientCredentials: {enabled: true},
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:tureen',
        getResourceServerInfo: () => ({
          scope: 'infer metrics', audience: 'urn:tureen', accessTokenTTL: 300, accessTokenFormat: 'jwt',
          jwt: {sign: {alg: 'RS256'}},
        }),
      },
    },
  }).callback();
}

console.info = console.error; // standard output is for answers
rotate();
console.log(url);
const commands = {rotate, down() { down = true; }, up() { down = false; }};
createInterface({input: process.stdin}).on('line', (line) => {
  commands[line]?.();
  console.log(fetches);
}).on('close', () => process.exit());
