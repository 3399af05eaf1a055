// Test program: a name server in the namespace in which it is started. Arguments: address, zone as JSON.
import type { ZoneRecord } from "@sallyport/testkit/dns-server";
import { fromZone, startDnsServer } from "@sallyport/testkit/dns-server";

const [host = "127.0.0.1", zone = "{}"] = process.argv.slice(2);
const respond = fromZone(JSON.parse(zone) as Record<string, readonly ZoneRecord[]>);
await startDnsServer({ host, port: 53, respond });
process.stdout.write("ready\n");
