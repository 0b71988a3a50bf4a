using System.Diagnostics;
using System.Globalization;

namespace MultiAgent.Testing;

/// <summary>A streaming replica of a PostgreSQL server: a hot standby, which answers reads.</summary>
/// <param name="folder">Where its data folder is made; the user that PostgreSQL runs as must reach it.</param>
/// <param name="primaryPort">Port of the primary on loopback.</param>
/// <param name="password">The superuser's.</param>
public sealed class PostgresStandby(string folder, int primaryPort, string password) : IAsyncDisposable
{
    private readonly string _data = Path.Combine(folder, "standby");

    public int Port { get; } = FreePort.Next();

    /// <summary>Copies the primary and follows it.</summary>
    /// <param name="synchronous">Whether every commit waits for it from now on.</param>
    public async Task StartAsync(bool synchronous)
    {
        // The user that PostgreSQL runs as makes the folder; its parent belongs to somebody else.
        if (!OperatingSystem.IsWindows()) Directory.CreateDirectory(_data, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (Environment.UserName == "root") await RunAsync("chown", ["postgres", _data]);
        await AsPostgresAsync("pg_basebackup", "-h", "127.0.0.1", "-p", Text(primaryPort), "-U", "postgres", "-D", _data, "-R", "-X", "stream", "-c", "fast");
        await RestartAsync();
        if (synchronous)
        {
            await SqlAsync("alter system set synchronous_standby_names = '*'", primaryPort);
            await SqlAsync("select pg_reload_conf()", primaryPort);
        }
        await Eventually.TrueAsync(async () => (await SqlAsync("select state, sync_state from pg_stat_replication", primaryPort)).Trim() == (synchronous ? "streaming|sync" : "streaming|async"), "the replica follows");
    }

    /// <summary>Runs SQL on it as the superuser.</summary>
    public Task<string> SqlAsync(string sql) => SqlAsync(sql, Port);

    /// <summary>Makes it the primary.</summary>
    public async Task PromoteAsync()
    {
        // It has nobody to wait for.
        await AsPostgresAsync("pg_ctl", "-D", _data, "-w", "promote");
        await SqlAsync("alter system reset synchronous_standby_names", Port);
        await SqlAsync("select pg_reload_conf()", Port);
    }

    /// <summary>Ends it as a crash does.</summary>
    public Task StopAsync() => AsPostgresAsync("pg_ctl", "-D", _data, "-m", "immediate", "-w", "stop");

    /// <summary>Starts it, or starts it again.</summary>
    public Task RestartAsync() => AsPostgresAsync("pg_ctl", "-D", _data, "-l", Path.Combine(_data, "log"), "-w", "-o",
        $"-p {Port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c hot_standby=on -c jit=off", "start");

    public async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(_data, "postmaster.pid"))) await StopAsync();
    }

    private Task<string> SqlAsync(string sql, int port) => AsPostgresAsync("psql", "-h", "127.0.0.1", "-p", Text(port), "-U", "postgres", "-tAc", sql);

    private Task<string> AsPostgresAsync(string program, params string[] arguments)
    {
        string path = Path.Combine(TestPostgres.Programs ?? throw new InvalidOperationException("PostgreSQL is not installed."), program);
        return Environment.UserName == "root" ? RunAsync("runuser", ["-u", "postgres", "--", path, .. arguments]) : RunAsync(path, arguments);
    }

    private async Task<string> RunAsync(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = "/" };
        start.Environment["PGPASSWORD"] = password;
        using Process process = Process.Start(start)!;
        // pg_ctl's server inherits the pipes and keeps them open: only the program itself is waited for.
        Task<string> output = program.EndsWith("pg_ctl", StringComparison.Ordinal) || arguments.Any(a => a.EndsWith("pg_ctl", StringComparison.Ordinal)) ? Task.FromResult("") : process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {(await output).Trim()}");
        return await output;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
