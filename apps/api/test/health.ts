// What grpc.health.v1 answers, asked over the wire by hand: the service has one string in and one enum out.
import { Client, credentials } from "@grpc/grpc-js";

const WORDS = ["UNKNOWN", "SERVING", "NOT_SERVING"];

export function health(address: string): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  return new Promise<string>((resolve, reject) => {
    const decode = (bytes: Buffer) => WORDS[bytes[1] ?? 0] ?? "UNKNOWN";
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      () => Buffer.alloc(0),
      decode,
      {},
      (error, word) => {
        if (error === null) resolve(word ?? "UNKNOWN");
        else reject(error);
      },
    );
  }).finally(() => client.close());
}
