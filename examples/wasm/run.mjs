// Signs in at an authorization server, with the whole protocol inside a WebAssembly module that imports
// nothing. This file supplies the clock, the randomness and the HTTP.
//
// Usage: node run.mjs MODULE BASE_URL; the server is the crate's example `embedded_server`.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";

const [modulePath, base] = process.argv.slice(2);
assert(modulePath && base, "usage: node run.mjs MODULE BASE_URL");

const module = new WebAssembly.Module(await readFile(modulePath));
assert.equal(WebAssembly.Module.imports(module).length, 0, "the module imports something");
const wasm = new WebAssembly.Instance(module, {}).exports;

// --- the module's commands and answers, see src/lib.rs

function command(name, details = {}) {
    const bytes = new TextEncoder().encode(JSON.stringify({ command: name, ...details }));
    // Calls `input` before it reads `buffer`: the allocation may replace the buffer.
    const address = wasm.input(bytes.length);
    new Uint8Array(wasm.memory.buffer, address, bytes.length).set(bytes);
    wasm.run();
    const answer = new Uint8Array(wasm.memory.buffer, wasm.output(), wasm.output_length());
    return JSON.parse(new TextDecoder().decode(answer));
}

function succeed(name, details) {
    const answer = command(name, details);
    assert("Ok" in answer, `${name}: ${JSON.stringify(answer)}`);
    return answer.Ok;
}

function fail(name, details, expected) {
    const answer = command(name, details);
    assert("Err" in answer, `${name} succeeded unexpectedly`);
    for (const [key, value] of Object.entries(expected)) {
        assert.equal(answer.Err[key], value, `${name}: ${JSON.stringify(answer.Err)}`);
    }
}

const now = () => Math.floor(Date.now() / 1000);
const randomBytes = () => Array.from(webcrypto.getRandomValues(new Uint8Array(128)));

// Sends the module's request and returns the response for the module: all HTTP of the protocol.
async function send({ method, url, headers, body }) {
    const response = await fetch(url, { method, headers, body, redirect: "manual" });
    return {
        status: response.status,
        headers: [...response.headers],
        body: Array.from(new Uint8Array(await response.arrayBuffer())),
        now: now(),
    };
}

// --- outside the protocol: the user's browser, and the API that accepts the tokens

async function browse(url) {
    const response = await fetch(url, { redirect: "manual" });
    assert.equal(response.status, 302);
    return response.headers.get("location");
}

async function apiStatus(token) {
    const response = await fetch(`${base}/api/me`, { headers: { authorization: `Bearer ${token}` } });
    return response.status;
}

// --- the flow

const redirectUri = "http://127.0.0.1:8912/callback";
fail("receive", { callback: redirectUri, now: now() }, { message: "start first" });

const url = succeed("start", {
    base,
    client_id: "fake-client",
    client_secret: "fake-secret",
    redirect_uri: redirectUri,
    scopes: ["export:read", "export:write"],
    random_bytes: randomBytes(),
    now: now(),
});
assert(url.startsWith(`${base}/oauth/authorize?`), "another authorization endpoint");
console.log("started: the browser has a URL");

const forged = `${redirectUri}?code=stolen&state=guessed`;
fail("receive", { callback: forged, now: now() }, { kind: "Suspect", advice: "KeepWaiting" });
console.log("a forged callback was refused");

const request = succeed("receive", { callback: await browse(url), now: now() });
assert.deepEqual([request.method, request.url], ["POST", `${base}/oauth/token`]);
const tokens = succeed("read", await send(request));
assert.equal(tokens.expires_in, 3600);
assert.deepEqual(tokens.granted_scopes, ["export:read"]);
assert.deepEqual(tokens.missing_scopes, ["export:write"]);
assert.equal(await apiStatus(tokens.access_token), 200);
console.log("the code was exchanged, and the API accepts the access token");

const refresh = succeed("refresh", { now: now() });
const refreshed = succeed("read", await send(refresh));
assert(refreshed.refresh_token_is_new, "the refresh token was not replaced");
assert.notEqual(refreshed.access_token, tokens.access_token);
assert.equal(await apiStatus(refreshed.access_token), 200);
assert.equal(await apiStatus(tokens.access_token), 401);
console.log("refreshed: the API accepts only the new access token");

fail("read", await send(refresh), { kind: "Refused", code: "invalid_grant", advice: "Reauthorize" });
console.log("the replaced refresh token was refused, and the module advises to sign in again");

console.log("1 passed, 0 failed");
