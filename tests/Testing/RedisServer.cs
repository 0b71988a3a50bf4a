using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MultiAgent.Testing;

/// <summary>A throw-away Redis with a password, a process of its own on a free loopback port.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    public const string Password = "s3cret pass/word";

    private readonly TempFolder _folder = new();
    private readonly string _config;
    private readonly bool _sentinel;
    private readonly bool _tls;
    private Process? _process;

    private RedisServer(int port, string config, bool sentinel = false, bool tls = false)
    {
        (Port, _sentinel, _tls) = (port, sentinel, tls);
        _config = Path.Combine(_folder.Path, "redis.conf");
        File.WriteAllText(_config, $"bind 127.0.0.1\ndir \"{_folder.Path}\"\nlogfile \"{Path.Combine(_folder.Path, "redis.log")}\"\nprotected-mode no\n{config}");
    }

    public int Port { get; }

    public string Url => $"redis://:{Uri.EscapeDataString(Password)}@127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Null when the server's program is not on this machine.</summary>
    public static string? Program { get; } = Find("redis-server");

    /// <summary>Why tests cannot run here; null when they can, or must.</summary>
    public static string? Missing => Program is null && Environment.GetEnvironmentVariable("CI") != "true" ? "redis-server is not installed (apt-get install redis-server)." : null;

    public static async Task<RedisServer> StartAsync()
    {
        int port = FreePort.Next();
        var server = new RedisServer(port, $"port {port}\nrequirepass \"{Password}\"\nsave \"\"\nappendonly yes\n");
        await server.RunAsync();
        return server;
    }

    /// <summary>A server that speaks TLS only and asks for a client certificate.</summary>
    public static async Task<RedisServer> StartTlsAsync(TestCertificates certificates)
    {
        int port = FreePort.Next();
        var server = new RedisServer(port, $"port 0\ntls-port {port}\ntls-cert-file {certificates.CertificateFile}\ntls-key-file {certificates.KeyFile}\ntls-ca-cert-file {certificates.CaFile}\ntls-auth-clients yes\nrequirepass \"{Password}\"\nsave \"\"\n", tls: true);
        await server.RunAsync();
        return server;
    }

    /// <summary>Three masters of one cluster.</summary>
    public static async Task<IReadOnlyList<RedisServer>> StartClusterAsync()
    {
        RedisServer[] nodes = [.. Enumerable.Range(0, 3).Select(_ => FreeClusterPort()).Select(port =>
            new RedisServer(port, $"port {port}\nrequirepass \"{Password}\"\nmasterauth \"{Password}\"\nsave \"\"\ncluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000\n"))];
        foreach (RedisServer node in nodes) await node.RunAsync();
        int slots = 16384 / 3;
        for (int i = 0; i < 3; i++)
            await nodes[i].CommandAsync("CLUSTER", "ADDSLOTSRANGE", (i * slots).ToString(CultureInfo.InvariantCulture), (i == 2 ? 16383 : ((i + 1) * slots) - 1).ToString(CultureInfo.InvariantCulture));
        for (int i = 1; i < 3; i++) await nodes[i].CommandAsync("CLUSTER", "MEET", "127.0.0.1", nodes[0].Port.ToString(CultureInfo.InvariantCulture));
        foreach (RedisServer node in nodes)
            await Eventually.TrueAsync(async () => (await node.CommandAsync("CLUSTER", "INFO")).Contains("cluster_state:ok", StringComparison.Ordinal), "the cluster is formed");
        return nodes;
    }

    /// <summary>A master called <c>main</c>, its replica, and a sentinel that watches them: in this order.</summary>
    public static async Task<IReadOnlyList<RedisServer>> StartSentinelAsync()
    {
        RedisServer master = await StartAsync();
        int port = FreePort.Next(), watch = FreePort.Next();
        var replica = new RedisServer(port, $"port {port}\nrequirepass \"{Password}\"\nmasterauth \"{Password}\"\nsave \"\"\nreplicaof 127.0.0.1 {master.Port}\n");
        await replica.RunAsync();
        await Eventually.TrueAsync(async () => (await replica.CommandAsync("INFO", "replication")).Contains("master_link_status:up", StringComparison.Ordinal), "the replica follows");
        var sentinel = new RedisServer(watch, $"port {watch}\nrequirepass \"{Password}\"\nsentinel monitor main 127.0.0.1 {master.Port} 1\nsentinel auth-pass main \"{Password}\"\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", sentinel: true);
        await sentinel.RunAsync();
        await Eventually.TrueAsync(async () => (await sentinel.CommandAsync("SENTINEL", "REPLICAS", "main")).Contains(port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), "the sentinel knows the replica");
        return [master, replica, sentinel];
    }

    public async Task RunAsync()
    {
        _process?.Dispose();
        _process = Process.Start(new ProcessStartInfo(Program ?? throw new InvalidOperationException("redis-server is not installed."), _sentinel ? [_config, "--sentinel"] : [_config])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        if (_tls) await Eventually.TrueAsync(ListensAsync, "redis-server listens");
        else await Eventually.TrueAsync(async () => await TryCommandAsync("PING") == "+PONG", "redis-server is ready");
    }

    /// <summary>Ends the process as a power cut would; <see cref="RunAsync"/> starts it again.</summary>
    public async Task KillAsync()
    {
        if (_process is not { HasExited: false } process) return;
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
    }

    /// <summary>Stops the process from running without ending it, or lets it run again: connections stay, answers do not come.</summary>
    public void Freeze(bool frozen)
    {
        using Process kill = Process.Start("kill", [frozen ? "-STOP" : "-CONT", _process!.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process?.Dispose();
        _folder.Dispose();
    }

    /// <summary>Sends one command and returns the answer as it stands in the protocol (RESP2); for what a client library has no business with.</summary>
    public async Task<string> CommandAsync(params string[] parts)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port);
        NetworkStream stream = client.GetStream();
        var buffer = new byte[65536];
        await stream.WriteAsync(Encode(["AUTH", Password]));
        _ = await stream.ReadAtLeastAsync(buffer, 1);
        await stream.WriteAsync(Encode(parts));
        int length = await stream.ReadAtLeastAsync(buffer, 1);
        string answer = Encoding.UTF8.GetString(buffer, 0, length).Trim();
        return answer.StartsWith('-') && parts[0] != "PING" ? throw new InvalidOperationException($"Redis says {answer}") : answer;
    }

    private async Task<string> TryCommandAsync(params string[] parts)
    {
        try
        {
            return await CommandAsync(parts);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return "";
        }
    }

    private async Task<bool> ListensAsync()
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static byte[] Encode(string[] parts)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"*{parts.Length}\r\n");
        foreach (string part in parts) text.Append(CultureInfo.InvariantCulture, $"${Encoding.UTF8.GetByteCount(part)}\r\n{part}\r\n");
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static string? Find(string program) => ((string[])[.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), "/usr/bin", "/usr/local/bin"])
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    // The nodes of a cluster talk to each other on a port 10 000 above.
    private static int FreeClusterPort()
    {
        while (true)
        {
            int port = FreePort.Next();
            if (port < 50_000) return port;
            for (int low = 21_000 + Random.Shared.Next(20_000); low < 50_000; low++)
            {
                if (IsFree(low) && IsFree(low + 10_000)) return low;
            }
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
