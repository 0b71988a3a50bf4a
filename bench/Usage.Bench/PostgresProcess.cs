using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MultiAgent.Data.Migrations;
using Npgsql;

namespace MultiAgent.Bench.Usage;

/// <summary>A PostgreSQL server as it comes, for the time of the benchmark: its settings are the defaults, so every commit is synced.</summary>
internal sealed class PostgresProcess : IAsyncDisposable
{
    private const string Password = "of-the-benchmark";

    private readonly string _folder = Directory.CreateTempSubdirectory("maap-usage-postgres").FullName;
    private readonly string _programs;
    private readonly int _port;

    private PostgresProcess(string programs, int port) => (_programs, _port) = (programs, port);

    /// <summary>As the services connect.</summary>
    public string AppUrl => Url(PostgresRoles.App);

    /// <summary>As migrations connect.</summary>
    public string OwnerUrl => Url(PostgresRoles.Owner);

    /// <summary>A connection string of the superuser.</summary>
    public string SuperUser => string.Create(CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={_port};Username=postgres;Password={Password};Database=postgres");

    public static async Task<PostgresProcess> StartAsync()
    {
        var programs = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").OrderByDescending(d => int.TryParse(Path.GetFileName(d), out var version) ? version : 0).Select(d => Path.Combine(d, "bin")).First(d => File.Exists(Path.Combine(d, "initdb")))
            : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').First(d => File.Exists(Path.Combine(d, "initdb")));
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var server = new PostgresProcess(programs, ((IPEndPoint)free.LocalEndpoint).Port);
        free.Stop();
        // PostgreSQL refuses to run as root.
        if (Environment.UserName == "root") await RunAsync("chown", "postgres", server._folder);
        await server.RunAsServerAsync("initdb", "-D", server.Data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C");
        await server.RunAsServerAsync("pg_ctl", "-D", server.Data, "-w", "-l", Path.Combine(server._folder, "log"), "-o", string.Create(CultureInfo.InvariantCulture, $"-p {server._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={server._folder}"), "start");
        await using (var super = NpgsqlDataSource.Create(server.SuperUser)) await PostgresRoles.CreateAsync(super, Password, Password);
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await RunAsServerAsync("pg_ctl", "-D", Data, "-m", "fast", "-w", "stop");
        Directory.Delete(_folder, recursive: true);
    }

    private string Data => Path.Combine(_folder, "data");

    private string Url(string user) => $"postgres://{user}:{Password}@127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}/postgres";

    private Task RunAsServerAsync(string program, params string[] arguments) => Environment.UserName == "root"
        ? RunAsync("runuser", ["-u", "postgres", "--", Path.Combine(_programs, program), .. arguments])
        : RunAsync(Path.Combine(_programs, program), arguments);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        // Its output goes to ours: the server that pg_ctl starts would hold a pipe open.
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" \"$@\" >/dev/null", program, .. arguments]) { UseShellExecute = false, WorkingDirectory = "/" })!;
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} failed.");
    }
}
