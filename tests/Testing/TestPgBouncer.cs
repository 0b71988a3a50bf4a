using System.Diagnostics;
using System.Globalization;
using MultiAgent.Data.Migrations;

namespace MultiAgent.Testing;

/// <summary>A pgbouncer in transaction mode before a <see cref="TestPostgres"/>, with few connections to it, so that clients share them at every turn.</summary>
public sealed class TestPgBouncer : IAsyncDisposable
{
    private static readonly Lazy<Task<TestPgBouncer>> Single = new(async () =>
    {
        TestPgBouncer bouncer = await StartAsync(await TestPostgres.SharedAsync());
        AppDomain.CurrentDomain.ProcessExit += (_, _) => bouncer.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return bouncer;
    });

    private readonly TestPostgres _server;
    private readonly Process _process;

    private readonly string _folder;

    private TestPgBouncer(TestPostgres server, int port, string folder, Process process) => (_server, Port, _folder, _process) = (server, port, folder, process);

    public int Port { get; }

    public static string? Program { get; } = ((string[])["/usr/sbin", "/usr/bin", .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')]).Select(f => Path.Combine(f, "pgbouncer")).FirstOrDefault(File.Exists);

    /// <summary>Why tests cannot run here; null when they can, or must.</summary>
    public static string? Missing => TestPostgres.Missing ?? (Program is null && Environment.GetEnvironmentVariable("CI") != "true" ? "pgbouncer is not installed (apt-get install pgbouncer)." : null);

    /// <summary>The one before the shared server.</summary>
    public static Task<TestPgBouncer> SharedAsync() => Single.Value;

    /// <summary>The app's URL of a database, by way of the pooler.</summary>
    public string AppUrl(TestDatabase database) => _server.Url(database.Name, PostgresRoles.App, TestPostgres.AppPassword, Port);

    public static async Task<TestPgBouncer> StartAsync(TestPostgres server)
    {
        int port = FreePort.Next();
        // In a folder of its own that the pooler's user can read; the server's belongs to that user alone.
        string folder = Directory.CreateTempSubdirectory("maap-pgbouncer-").FullName;
        await TestPostgres.ProcessAsync("chmod", ["755", folder]);
        string config = Path.Combine(folder, "pgbouncer.ini"), users = Path.Combine(folder, "users.txt");
        await File.WriteAllTextAsync(users, $"\"{PostgresRoles.App}\" \"{TestPostgres.AppPassword}\"\n\"{PostgresRoles.Owner}\" \"{TestPostgres.OwnerPassword}\"\n");
        await File.WriteAllTextAsync(config, $"""
            [databases]
            * = host=127.0.0.1 port={server.Port.ToString(CultureInfo.InvariantCulture)}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port.ToString(CultureInfo.InvariantCulture)}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = transaction
            default_pool_size = 4
            max_client_conn = 1000
            """);
        ProcessStartInfo start = TestPostgres.Command(Program ?? throw new InvalidOperationException("pgbouncer is not installed (apt-get install pgbouncer)."), "-q", config);
        var bouncer = new TestPgBouncer(server, port, folder, Process.Start(start)!);
        await Eventually.TrueAsync(async () =>
        {
            if (bouncer._process.HasExited) throw new InvalidOperationException($"pgbouncer ended: {await bouncer._process.StandardError.ReadToEndAsync()}");
            try
            {
                using var client = new System.Net.Sockets.TcpClient();
                await client.ConnectAsync("127.0.0.1", port);
                return true;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return false;
            }
        }, "pgbouncer is ready");
        // Its log goes to standard error too; a full pipe would stop it.
        _ = bouncer._process.StandardError.ReadToEndAsync();
        _ = bouncer._process.StandardOutput.ReadToEndAsync();
        return bouncer;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
