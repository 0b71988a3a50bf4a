using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MultiAgent.Data.Migrations;
using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Testing;

/// <summary>
/// A throw-away PostgreSQL server, one for a run of tests, with the roles of an installation and a migrated database to copy. The variable
/// <c>MAAP_TEST_POSTGRES</c> names the folder of its programs where it is not to be Debian's newest.
/// </summary>
public sealed class TestPostgres : IAsyncDisposable
{
    public const string OwnerPassword = "owner-of-the-schema";
    public const string AppPassword = "app without % rights@/:";

    private const string SuperPassword = "superuser-of-tests";
    private const string Template = "maap_template";
    private const string FolderPrefix = "maap-pg-";
    private const string OwnerFile = "owner";

    private static readonly Lazy<Task<TestPostgres>> Single = new(() => StartAsync(shared: true));
    private static int _databases;

    private readonly string _folder;
    private Process? _process;

    private TestPostgres(string folder, int port) => (_folder, Port) = (folder, port);

    public int Port { get; }

    internal string Folder => _folder;

    /// <summary>Folder of the programs; null when there are none on this machine.</summary>
    public static string? Programs { get; } = Environment.GetEnvironmentVariable("MAAP_TEST_POSTGRES") is { Length: > 0 } said ? said
        : ((string[])[.. Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").OrderByDescending(d => int.TryParse(Path.GetFileName(d), out int version) ? version : 0).Select(d => Path.Combine(d, "bin")) : [],
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')]).FirstOrDefault(f => File.Exists(Path.Combine(f, "initdb")));

    /// <summary>Why tests cannot run here; null when they can, or must.</summary>
    public static string? Missing => Programs is null && Environment.GetEnvironmentVariable("CI") != "true" ? "PostgreSQL is not installed (apt-get install postgresql-15)." : null;

    /// <summary>The server that all tests of the process share.</summary>
    public static Task<TestPostgres> SharedAsync() => Single.Value;

    /// <summary>A server of a test's own, to be stopped and started.</summary>
    public static Task<TestPostgres> StartAsync() => StartAsync(shared: false);

    /// <summary>A replica of this server that follows it; the caller ends it first.</summary>
    public async Task<PostgresStandby> StartStandbyAsync()
    {
        var standby = new PostgresStandby(_folder, Port, SuperPassword);
        await standby.StartAsync(synchronous: false);
        return standby;
    }

    /// <summary>A copy of the migrated database.</summary>
    public async Task<TestDatabase> NewDatabaseAsync() => await CreateAsync(Template);

    /// <summary>A database without any schema.</summary>
    public async Task<TestDatabase> NewEmptyDatabaseAsync() => await CreateAsync("template0");

    public string Url(string database, string user, string password, int? port = null) =>
        $"postgres://{Uri.EscapeDataString(user)}:{Uri.EscapeDataString(password)}@127.0.0.1:{(port ?? Port).ToString(CultureInfo.InvariantCulture)}/{database}";

    public string SuperUrl(string database) => Url(database, "postgres", SuperPassword);

    /// <summary>Runs SQL as the superuser.</summary>
    public async Task ExecuteAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={Port};Username=postgres;Password={SuperPassword};Database={database};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Ends the server at once, as a crash does.</summary>
    public async Task StopAsync()
    {
        if (_process is not { HasExited: false } process) return;
        await RunAsync(Path.Combine(Programs!, "pg_ctl"), "-D", Data, "-m", "immediate", "-w", "stop");
        await process.WaitForExitAsync();
    }

    /// <summary>Starts the server again on its data.</summary>
    public async Task RestartAsync()
    {
        Start();
        await ReadyAsync();
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync();
        }
        finally
        {
            _process?.Kill(entireProcessTree: true);
            _process?.Dispose();
            await RunAsync("rm", "-rf", _folder);
        }
    }

    private string Data => Path.Combine(_folder, "data");

    private static async Task<TestPostgres> StartAsync(bool shared)
    {
        if (Programs is null) throw new InvalidOperationException("PostgreSQL is not installed (apt-get install postgresql-15).");
        if (shared) await SweepAsync();
        string folder = Directory.CreateTempSubdirectory(FolderPrefix).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, OwnerFile), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        var server = new TestPostgres(folder, FreePort.Next());
        await ProcessAsync("chmod", ["755", folder]);
        string password = Path.Combine(folder, "pw");
        await File.WriteAllTextAsync(password, SuperPassword);
        // PostgreSQL refuses to run as root.
        if (Environment.UserName == "root") await ProcessAsync("chown", ["-R", "postgres", folder]);
        await RunAsync(Path.Combine(Programs, "initdb"), "-D", server.Data, "-U", "postgres", "--auth=scram-sha-256", $"--pwfile={password}", "-E", "UTF8", "--locale=C", "--no-sync");
        server.Start();
        // The end of the process ends the server: nobody else waits for it.
        if (shared) AppDomain.CurrentDomain.ProcessExit += (_, _) => server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        await server.ReadyAsync();
        await server.ExecuteAsync("postgres", $"CREATE DATABASE {Template}");
        await using (NpgsqlDataSource super = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={server.Port};Username=postgres;Password={SuperPassword};Database={Template};Pooling=false"))
            await PostgresRoles.CreateAsync(super, OwnerPassword, AppPassword);
        await using (NpgsqlDataSource owner = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={server.Port};Username={PostgresRoles.Owner};Password={OwnerPassword};Database={Template};Pooling=false"))
            await PostgresMigrator.MigrateAsync(owner, MigrationScripts.PostgresServices());
        return server;
    }

    // A run that was killed could not end its server.
    private static async Task SweepAsync()
    {
        if (!OperatingSystem.IsLinux()) return;
        foreach (string folder in Directory.GetDirectories(Path.GetTempPath(), FolderPrefix + "*"))
        {
            string owner = Path.Combine(folder, OwnerFile);
            try
            {
                if (!File.Exists(owner) || !int.TryParse(await File.ReadAllTextAsync(owner), out int process) || Directory.Exists($"/proc/{process.ToString(CultureInfo.InvariantCulture)}")) continue;
                try
                {
                    await RunAsync(Path.Combine(Programs!, "pg_ctl"), "-D", Path.Combine(folder, "data"), "-m", "immediate", "stop");
                }
                catch (InvalidOperationException)
                {
                    // It is gone, or never began.
                }
                await ProcessAsync("rm", ["-rf", folder]);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException)
            {
                // Another run sweeps as well, or the folder is another user's.
            }
        }
    }

    private async Task<TestDatabase> CreateAsync(string template)
    {
        string name = $"t{Interlocked.Increment(ref _databases).ToString(CultureInfo.InvariantCulture)}";
        await ExecuteAsync("postgres", $"CREATE DATABASE {name} TEMPLATE {template} OWNER {PostgresRoles.Owner}");
        return new TestDatabase(this, name);
    }

    private void Start() => _process = Process.Start(Command(Path.Combine(Programs!, "postgres"), "-D", Data, "-p", Port.ToString(CultureInfo.InvariantCulture),
        "-c", "listen_addresses=127.0.0.1", "-c", $"unix_socket_directories={_folder}", "-c", "fsync=off", "-c", "full_page_writes=off",
        "-c", "max_connections=300", "-c", "jit=off", "-c", "logging_collector=on", "-c", $"log_directory={_folder}", "-c", "log_filename=log"))!;

    private async Task ReadyAsync() => await Eventually.TrueAsync(async () =>
    {
        try
        {
            await ExecuteAsync("postgres", "SELECT 1");
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }, "PostgreSQL is ready");

    internal static ProcessStartInfo Command(string program, params string[] arguments)
    {
        bool root = Environment.UserName == "root";
        return new ProcessStartInfo(root ? "runuser" : program, root ? ["-u", "postgres", "--", program, .. arguments] : arguments)
        {
            UseShellExecute = false,
            WorkingDirectory = "/",
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        ProcessStartInfo start = Command(program, arguments);
        await ProcessAsync(start.FileName, start.ArgumentList);
    }

    internal static async Task ProcessAsync(string program, IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, WorkingDirectory = "/", RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} failed: {await error} {await output}");
    }
}
