// A Wharf and a browser for tests: the real executable, real containers, Debian's chromium.
import { spawn, execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const binary = process.env.WHARF_TEST_BIN;
const images = process.env.WHARF_TEST_IMAGES;
if (!binary || !images) throw new Error("run these tests with `cargo xtask test --only browser`");

export const BOUND_MS = 30_000;

/** Looks every 50 ms until `look` gives something; throws with `what` after the bound. */
export async function waitFor(what, look, boundMs = BOUND_MS) {
  const begin = Date.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() - begin > boundMs) throw new Error(`waited ${boundMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export class Wharf {
  /** Starts `wharf up`, or another command that serves, on a free port with data of its own; `config` is YAML. */
  static async start(words = ["up"], config = "") {
    const wharf = new Wharf();
    wharf.home = await mkdtemp(join(tmpdir(), "wharf-browser-"));
    wharf.data = join(wharf.home, "data");
    const ready = join(wharf.home, "ready.json");
    wharf.environment = { PATH: process.env.PATH, HOME: wharf.home, WHARF_DATA: wharf.data };
    const options = ["--data", wharf.data, "--listen", "127.0.0.1:0", "--ready-file", ready];
    if (config) {
      const file = join(wharf.home, "config.yml");
      await writeFile(file, config);
      options.push("--config", file);
    }
    wharf.process = spawn(binary, [...words, ...options], { env: wharf.environment });
    wharf.output = "";
    for (const stream of [wharf.process.stdout, wharf.process.stderr]) {
      stream.on("data", (piece) => (wharf.output += piece));
    }
    const about = await waitFor("wharf to serve", async () => {
      if (wharf.process.exitCode !== null) throw new Error(`wharf ended:\n${wharf.output}`);
      return readFile(ready, "utf8").then(JSON.parse, () => null);
    });
    wharf.port = about.port;
    wharf.url = `http://localhost:${about.port}`;
    wharf.token = JSON.parse(await readFile(join(wharf.data, "credentials.json"), "utf8")).token;
    return wharf;
  }

  /** The secret part of the token: what must appear nowhere. */
  get secret() {
    return this.token.split("/").at(-1);
  }

  async cli(...words) {
    const { stdout } = await run(binary, words, { env: this.environment });
    return stdout;
  }

  async api(method, path, body, token = this.token) {
    // 127.0.0.1, since node may take ::1 for localhost; the API answers any host not a service's.
    const reply = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
    return JSON.parse(text);
  }

  importTestApp() {
    return this.cli("image", "import", join(images, "testapp.docker.tar"));
  }

  /** A user without rights of an administrator; their token. */
  async newUser(name) {
    const user = { email: `${name}@example.com`, username: name, first_name: name, last_name: "Test", is_active: true };
    const { uuid } = await this.api("POST", "/arvados/v1/users", { user });
    const path = "/arvados/v1/api_client_authorizations";
    const made = await this.api("POST", path, { api_client_authorization: { owner_uuid: uuid } });
    return `v2/${made.uuid}/${made.api_token}`;
  }

  /** Gives a service's port a name; the link. */
  nameIt(name, service, port, token = this.token) {
    const link = { link_class: "hostname", name, head_uuid: service.uuid, properties: { port } };
    return this.api("POST", "/arvados/v1/links", { link }, token);
  }

  /** Submits a service of the test image; `ports` as the API takes them. */
  async submit(name, command, ports, more = {}, token = this.token) {
    const request = await this.api("POST", "/arvados/v1/container_requests", {
      container_request: {
        name, command, state: "Committed", priority: 500, service: true, cwd: "/",
        container_image: "testapp:latest", output_path: "/out",
        mounts: { "/out": { kind: "tmp", capacity: 1024 } },
        runtime_constraints: { vcpus: 1, ram: 134217728 }, published_ports: ports, ...more,
      },
    }, token);
    return { uuid: request.uuid, container: request.container_uuid };
  }

  async waitReady(service, port) {
    await waitFor(`port ${port} to be ready`, async () => {
      const record = await this.api("GET", `/arvados/v1/containers/${service.container}`);
      return record.published_ports[port]?.ready;
    });
  }

  /** The address of a service's port. */
  address(service, port, path = "/") {
    return `http://${service.uuid}-${port}.containers.localhost:${this.port}${path}`;
  }

  /** A link that signs in to a service and opens a path of it. */
  async handoff(service, port, path = "/") {
    const { url } = await this.api("POST", "/wharf/v1/handoff", { uuid: service.uuid, port, path });
    return url;
  }

  /** A link that signs in to the dashboard. */
  async signInLink() {
    return (await this.api("POST", "/wharf/v1/login_links", {})).url;
  }

  /** Runs a shell command in a container through the test server's `/sh`. */
  shell(service, port, script) {
    return this.post(service, port, "/sh", script);
  }

  /** What a service answers to a program with a token. */
  async get(service, port, path, ...more) {
    // curl, since node does not find names below localhost.
    const { stdout } = await run("curl", ["--silent", "--max-time", "20", "--header",
      `Authorization: Bearer ${this.token}`, ...more, this.address(service, port, path)]);
    return stdout;
  }

  post(service, port, path, body) {
    return this.get(service, port, path, "--data-binary", body);
  }

  /** Cancels everything, waits until no container is left, ends the controller. */
  async stop() {
    try {
      const filters = encodeURIComponent('[["state","=","Committed"]]');
      const { items } = await this.api("GET", `/arvados/v1/container_requests?filters=${filters}`);
      for (const { uuid } of items) {
        const cancelled = { container_request: { priority: 0 } };
        await this.api("PUT", `/arvados/v1/container_requests/${uuid}`, cancelled).catch(() => {});
      }
      await waitFor("the containers to end", async () => {
        const names = await readdir(join(this.data, "containers")).catch(() => []);
        const alive = await Promise.all(names.map((name) =>
          readdir(join(this.data, "containers", name)).then((files) => files.includes("secret"))));
        return !alive.includes(true);
      });
    } finally {
      this.process.kill("SIGTERM");
      if (this.process.exitCode === null) await new Promise((resolve) => this.process.once("exit", resolve));
      await rm(this.home, { recursive: true, force: true });
    }
  }
}

/** A site of somebody else, on loopback: `answer(request, reply)` makes its answers. */
export async function openSite(answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const close = () => new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
  return { port, origin: (host) => `http://${host}:${port}`, close };
}

/** Chromium without any network but the pages it is told to open; `more` are words for its command line. */
export function openBrowser(more = []) {
  return chromium.launch({
    executablePath: process.env.WHARF_TEST_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", ...more],
  });
}
