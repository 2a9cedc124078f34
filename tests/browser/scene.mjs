// A site as somebody meets it in the morning: services in several states, people, data, names.
import { Wharf, waitFor } from "./wharf.mjs";

const CONFIG = `
Dashboard:
  Templates:
    - Name: JupyterLab
      Description: Notebooks in Python, with the usual libraries
      Image: testapp:latest
      Command: [testkit-app]
      Ports: {8080: {Label: JupyterLab, Path: lab}}
      VCPUs: 2
      RAM: 2GiB
    - Name: Shiny
      Description: A dashboard in R that everyone may see
      Image: testapp:latest
      Ports: {8080: {Label: Dashboard, Access: public}}
`;

const port = (label, access = "private", more = {}) => ({ access, label, ...more });

/** Starts a Wharf with all of it; what the pages need to be found is on the answer. */
export async function openScene() {
  const wharf = await Wharf.start(["up"], CONFIG);
  try {
    return await fill(wharf);
  } catch (error) {
    await wharf.stop();
    throw error;
  }
}

async function fill(wharf) {
  await wharf.importTestApp();
  const survey = await wharf.submit("Harbour survey notebook", ["testkit-app"], {
    8050: port("Fish counts", "public"),
    8080: port("JupyterLab", "private", { initial_path: "lab" }),
  }, { environment: { SURVEY: "2026-11", TZ: "UTC" } });
  await wharf.waitReady(survey, 8080);
  await wharf.get(survey, 8080, "/listen?port=8050");
  await wharf.shell(survey, 8080, `for line in 'Serving notebooks from /home/ada' 'Kernel started: python3' '404 GET /api/missing'; do
    echo "$line" > /proc/$PPID/fd/1; done; echo 'Deprecated option: token' > /proc/$PPID/fd/2`);
  await wharf.nameIt("harbour", survey, 8080);
  await waitFor("the survey to be measured", async () => {
    const figures = await wharf.api("GET", `/wharf/v1/containers/${survey.uuid}/metrics`);
    return figures.cpu_cores.some((cores) => cores !== null) && figures.open_connections.some((open) => open !== null);
  });
  const viewer = await wharf.submit("viewer-2026-11", ["testkit-app"], { 8080: port("Image viewer"), 9000: port("Statistics") });
  await wharf.waitReady(viewer, 8080);
  const index = await wharf.submit("nightly index", ["testkit-app"], {});
  const queued = await wharf.submit("wide model", ["testkit-app"], { 8080: port("Dashboard") }, { runtime_constraints: { vcpus: 4000, ram: 134217728 } }).catch(() => null);
  const failed = await wharf.submit("typo", ["testkit-ap"], { 8080: port("JupyterLab") });
  const stopped = await wharf.submit("yesterday's notebook", ["testkit-app"], { 8080: port("JupyterLab") });
  await wharf.waitReady(stopped, 8080);
  await wharf.cli("stop", stopped.uuid);
  const grace = await wharf.newUser("grace");
  const shared = await wharf.submit("Tide tables", ["testkit-app"], { 8080: port("Tides", "public") }, {}, grace);
  await wharf.waitReady(shared, 8080);
  const collection = await makeData(wharf);
  await waitFor("the failed one to end", async () => {
    const record = await wharf.api("GET", `/arvados/v1/container_requests/${failed.uuid}`);
    return record.state === "Final";
  });
  return { wharf, survey, viewer, index, queued, failed, stopped, shared, collection };
}

async function makeData(wharf) {
  const path = "/arvados/v1/collections";
  const { uuid } = await wharf.api("POST", path, { collection: { name: "Harbour survey, November" } });
  const files = { "README.md": "# Survey\n", "counts/north.csv": "day,fish\n1,12\n", "counts/south.csv": "day,fish\n1,7\n" };
  const send = async (method, name, body) => {
    const sent = await fetch(`http://127.0.0.1:${wharf.port}/c=${uuid}/${name}`, {
      method, body, headers: { Authorization: `Bearer ${wharf.token}` },
    });
    if (!sent.ok) throw new Error(`${method} ${name}: ${sent.status} ${await sent.text()}`);
  };
  await send("MKCOL", "counts");
  for (const [name, text] of Object.entries(files)) await send("PUT", name, text);
  await wharf.api("POST", path, { collection: { name: "Empty box" } });
  return uuid;
}

/** The page that asks whether a host name is to move, which a form leads to. */
export async function askToMove(page, { wharf, viewer }) {
  await page.goto(`${wharf.url}/host-names`);
  await page.getByRole("textbox", { name: "Name" }).fill("harbour");
  await page.getByLabel("Leads to").selectOption(`${viewer.uuid} 8080`);
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByRole("heading", { name: "Move harbour?" }).waitFor();
}

/** Every page of the dashboard that has an address, by a name for its picture. */
export function pagesOf({ survey, viewer, failed, collection }) {
  return {
    services: "/",
    service: `/services/${survey.uuid}`,
    "service-logs": `/services/${survey.uuid}/logs`,
    "service-metrics": `/services/${survey.uuid}/metrics`,
    "service-terminal": `/services/${survey.uuid}/terminal`,
    "service-access": `/services/${survey.uuid}/access`,
    "service-events": `/services/${survey.uuid}/events`,
    "service-details": `/services/${survey.uuid}/details`,
    "service-failed": `/services/${failed.uuid}`,
    stop: `/services/${survey.uuid}/stop`,
    restart: `/services/${survey.uuid}/restart`,
    launch: "/launch?template=JupyterLab",
    "launch-wrong": "/launch?image=&cpus=0&ram=2GiB&port=80&label=&access=private&path=&command='x",
    duplicate: `/launch?from=${survey.uuid}`,
    "host-names": "/host-names",
    "host-name-remove": "/host-names/remove?name=harbour",
    "stop-many": `/stop?uuid=${survey.uuid}&uuid=${viewer.uuid}`,
    data: "/data",
    collection: `/data/${collection}`,
    account: "/account",
    admin: "/admin",
    "not-there": "/services/none",
  };
}
