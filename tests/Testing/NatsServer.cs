using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Testing;

/// <summary>A throw-away NATS server with JetStream, a process of its own on free loopback ports.</summary>
public sealed class NatsServer : IAsyncDisposable
{
    // The seed belongs to the public key in the server's configuration; both are published test vectors.
    public const string UserSeed = "SUAGDLNBWI2SGHDRYBHD63NH5FGZSVJUW2J7GAJZXWANQFLDW6G5SXZESU";
    public const string UserKey = "UBICBTHDKQRB4LIYA6BMIJ7EA2G7YS7FIWMMVKZJE6M3HS5IVCOLKDY2";

    private readonly TempFolder _folder = new();
    private readonly string _config;
    private Process? _process;

    private NatsServer(int port, int monitor, string config)
    {
        (Port, Monitor) = (port, monitor);
        _config = Path.Combine(_folder.Path, "nats.conf");
        File.WriteAllText(_config, config.Replace("$STORE", Path.Combine(_folder.Path, "store"), StringComparison.Ordinal));
    }

    public int Port { get; }

    private int Monitor { get; }

    public string Url => $"nats://app:secret@127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}";

    public string UrlWithoutUser => $"nats://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}";

    public string TlsUrl => $"tls://app:secret@localhost:{Port.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Null when the server's program is not on this machine.</summary>
    public static string? Program { get; } = ((string[])[.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), "/usr/sbin", "/usr/local/bin"])
        .Select(folder => Path.Combine(folder, "nats-server")).FirstOrDefault(File.Exists);

    /// <summary>Why tests cannot run here; null when they can, or must.</summary>
    public static string? Missing => Program is null && Environment.GetEnvironmentVariable("CI") != "true" ? "nats-server is not installed (apt-get install nats-server)." : null;

    /// <param name="store">Folder of the stored events; null for one of the server's own.</param>
    public static async Task<NatsServer> StartAsync(string? store = null)
    {
        int port = FreePort.Next(), monitor = FreePort.Next();
        var server = new NatsServer(port, monitor, $$"""
            server_name: n1
            listen: 127.0.0.1:{{port}}
            http: 127.0.0.1:{{monitor}}
            jetstream { store_dir: "{{store ?? "$STORE"}}", max_mem: 64MB, max_file: 1GB }
            authorization { users: [ { user: app, password: secret }, { nkey: {{UserKey}} } ] }
            """);
        await server.RunAsync();
        return server;
    }

    /// <summary>A server that speaks TLS only and asks for a client certificate; <see cref="TlsUrl"/> is its address.</summary>
    public static async Task<NatsServer> StartTlsAsync(TestCertificates certificates)
    {
        int port = FreePort.Next(), monitor = FreePort.Next();
        var server = new NatsServer(port, monitor, $$"""
            server_name: n1
            listen: 127.0.0.1:{{port}}
            http: 127.0.0.1:{{monitor}}
            jetstream { store_dir: "$STORE", max_mem: 64MB, max_file: 1GB }
            authorization { users: [ { user: app, password: secret } ] }
            tls { cert_file: "{{certificates.CertificateFile}}", key_file: "{{certificates.KeyFile}}", ca_file: "{{certificates.CaFile}}", verify: true }
            """);
        await server.RunAsync();
        return server;
    }

    /// <summary>A server that knows its users by the signed claims of an operator; <paramref name="credentials"/> is the file of one user.</summary>
    public static async Task<NatsServer> StartWithOperatorAsync(string credentials)
    {
        int port = FreePort.Next(), monitor = FreePort.Next();
        (string configuration, string file) = NatsClaims.Make();
        await File.WriteAllTextAsync(credentials, file);
        var server = new NatsServer(port, monitor, $$"""
            server_name: n1
            listen: 127.0.0.1:{{port}}
            http: 127.0.0.1:{{monitor}}
            jetstream { store_dir: "$STORE", max_mem: 64MB, max_file: 1GB }
            {{configuration}}
            """);
        await server.RunAsync();
        return server;
    }

    /// <summary>Three servers that replicate to each other.</summary>
    public static async Task<IReadOnlyList<NatsServer>> StartClusterAsync()
    {
        int[] ports = [.. Enumerable.Range(0, 9).Select(_ => FreePort.Next())];
        string routes = string.Join(", ", ports[6..].Select(p => $"nats-route://127.0.0.1:{p}"));
        NatsServer[] servers = [.. Enumerable.Range(0, 3).Select(i => new NatsServer(ports[i], ports[3 + i], $$"""
            server_name: n{{i}}
            listen: 127.0.0.1:{{ports[i]}}
            http: 127.0.0.1:{{ports[3 + i]}}
            jetstream { store_dir: "$STORE", max_mem: 64MB, max_file: 1GB }
            authorization { users: [ { user: app, password: secret } ] }
            cluster { name: C1, listen: 127.0.0.1:{{ports[6 + i]}}, no_advertise: true, routes: [ {{routes}} ] }
            """))];
        foreach (NatsServer server in servers) server.Start();
        foreach (NatsServer server in servers) await server.ReadyAsync();
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () => (await client.GetStringAsync($"http://127.0.0.1:{ports[3]}/jsz?meta=1")).Contains("\"leader\"", StringComparison.Ordinal), "the cluster's leader");
        return servers;
    }

    public async Task RunAsync()
    {
        Start();
        await ReadyAsync();
    }

    /// <summary>Ends the process as a power cut would; <see cref="RunAsync"/> starts it again on what it stored.</summary>
    public async Task KillAsync()
    {
        if (_process is not { HasExited: false } process) return;
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process?.Dispose();
        _folder.Dispose();
    }

    private void Start()
    {
        _process?.Dispose();
        _process = Process.Start(new ProcessStartInfo(Program ?? throw new InvalidOperationException("nats-server is not installed."), ["-c", _config, "-l", Path.Combine(_folder.Path, "nats.log")])
        {
            UseShellExecute = false,
            // It writes to its log file; a pipe of the test run's that it held would keep the run open after a crash.
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
    }

    private async Task ReadyAsync()
    {
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return (await client.GetStringAsync($"http://127.0.0.1:{Monitor}/healthz")).Contains("ok", StringComparison.Ordinal);
            }
            catch (HttpRequestException) when (_process is { HasExited: false })
            {
                return false;
            }
            catch (HttpRequestException e)
            {
                string log = Path.Combine(_folder.Path, "nats.log");
                throw new InvalidOperationException($"nats-server ended: {(File.Exists(log) ? await File.ReadAllTextAsync(log) : await _process!.StandardError.ReadToEndAsync())}", e);
            }
        }, "nats-server is ready");
    }
}
