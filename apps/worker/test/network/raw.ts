// Raw packets from a namespace: echo requests, and datagrams whose source is forged. Perl, as every Debian has it.

import { spawn } from "node:child_process";

const PING = `
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
my ($to, $seconds) = @ARGV;
my $six = $to =~ /:/;
socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_RAW, $six ? 58 : 1) or die "socket: $!";
my ($id, $text) = ($$ & 0xffff, "sallyport!");
my $build = sub { pack("C2n3a*", $six ? 128 : 8, 0, $_[0], $id, 1, $text) };
my $sum = 0; $sum += $_ for unpack("n*", $build->(0)); $sum = ($sum & 0xffff) + ($sum >> 16);
my $packet = $build->($six ? 0 : ~$sum & 0xffff);
my $address = $six ? pack_sockaddr_in6(0, inet_pton(AF_INET6, $to)) : pack_sockaddr_in(0, inet_aton($to));
send($s, $packet, 0, $address) or do { print "silence"; exit };
my $end = time + $seconds;
while (time < $end) {
  my $bits = ""; vec($bits, fileno($s), 1) = 1;
  last unless select($bits, undef, undef, $seconds) > 0;
  recv($s, my $answer, 2000, 0);
  $answer = substr($answer, 4 * (ord($answer) & 15)) unless $six;
  my ($type, undef, undef, $got) = unpack("C2n2", $answer);
  if ($type == ($six ? 129 : 0) && $got == $id) { print "reply"; exit }
}
print "silence";
`;

const FORGE = `
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
my ($from, $to, $port, $text) = @ARGV;
my $six = $to =~ /:/;
my $length = 8 + length $text;
if ($six) {
  my ($f, $t) = (inet_pton(AF_INET6, $from), inet_pton(AF_INET6, $to));
  my $udp = sub { pack("n4a*", 4444, $port, $length, $_[0], $text) };
  my $sum = 0; $sum += $_ for unpack("n*", $f . $t . pack("N2", $length, 17) . $udp->(0) . ($length % 2 ? "\\0" : ""));
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum > 0xffff;
  socket(my $s, AF_INET6, SOCK_RAW, 255) or die "socket: $!";
  my $packet = pack("NnCC", 0x60000000, $length, 17, 64) . $f . $t . $udp->(~$sum & 0xffff);
  send($s, $packet, 0, pack_sockaddr_in6(0, $t)) or die "send: $!";
} else {
  socket(my $s, AF_INET, SOCK_RAW, 255) or die "socket: $!";
  my $head = pack("CCnnnCCna4a4", 0x45, 0, 20 + $length, 1, 0, 64, 17, 0, inet_aton($from), inet_aton($to));
  send($s, $head . pack("n4a*", 4444, $port, $length, 0, $text), 0, pack_sockaddr_in(0, inet_aton($to))) or die "send: $!";
}
print "sent";
`;

function perl(netnsPath: string, script: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("nsenter", [`--net=${netnsPath}`, "perl", "-e", script, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(output) : reject(new Error(`perl exited with ${code}`))));
  });
}

/** One echo request; `reply` or, after so long, `silence`. */
export function ping(netnsPath: string, to: string, timeoutMs = 500): Promise<string> {
  return perl(netnsPath, PING, [to, String(timeoutMs / 1000)]);
}

/** One UDP datagram with a source of the caller's choice. */
export async function forge(netnsPath: string, from: string, to: string, port: number, text: string): Promise<void> {
  await perl(netnsPath, FORGE, [from, to, String(port), text]);
}
