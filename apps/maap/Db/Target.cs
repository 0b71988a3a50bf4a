using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Data;

namespace MultiAgent.Maap.Db;

/// <summary>The databases that the services use, by their own settings.</summary>
internal abstract class Target
{
    /// <summary>Runs <paramref name="work"/> on them; returns the exit code, with one line on standard error when it failed.</summary>
    public static async Task<int> RunAsync(Func<Target, Task<int>> work, CancellationToken stop)
    {
        try
        {
            HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = Environment.CurrentDirectory });
            builder.Configuration.AddJsonFile("appsettings.json", optional: true).AddEnvironmentVariables();
            builder.Services.AddDataOptions();
            using IHost host = builder.Build();
            DataOptions options = host.Services.GetRequiredService<IOptions<DataOptions>>().Value;
            bool postgres = !string.IsNullOrWhiteSpace(options.DatabaseUrl) || !string.IsNullOrWhiteSpace(options.DatabaseAdminUrl);
            return await work(postgres ? new PostgresTarget(options, builder.Configuration) : new SqliteTarget(options));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 130;
        }
        catch (OptionsValidationException e)
        {
            return await FailAsync(string.Join(" ", e.Failures));
        }
        catch (Exception e) when (e is StartupException or Npgsql.NpgsqlException or TimeoutException or IOException or UnauthorizedAccessException or Microsoft.Data.Sqlite.SqliteException)
        {
            return await FailAsync(e is Npgsql.PostgresException server ? $"PostgreSQL: {server.SqlState} {server.MessageText}" : e is Npgsql.NpgsqlException ? $"PostgreSQL: {e.Message} {e.InnerException?.Message}".TrimEnd() : e.Message);
        }
    }

    /// <summary>The services that are meant: those named, or all.</summary>
    /// <exception cref="StartupException">One is not known.</exception>
    public IReadOnlyList<string> Pick(string[]? named)
    {
        if (named is not { Length: > 0 }) return All;
        return named.FirstOrDefault(n => !All.Contains(n)) is { } unknown ? throw new StartupException($"There is no service '{unknown}' with a schema here; there are {string.Join(", ", All)}.") : named;
    }

    protected abstract IReadOnlyList<string> All { get; }

    public abstract Task<IReadOnlyList<string>> MigrateAsync(IReadOnlyList<string> services, CancellationToken stop);

    public abstract Task<IReadOnlyList<SchemaState>> CurrentAsync(IReadOnlyList<string> services, CancellationToken stop);

    public abstract Task<string?> RollbackAsync(string service, CancellationToken stop);

    /// <summary>The roles, with the passwords that were made for them.</summary>
    public abstract Task<IReadOnlyList<(string Role, string? Password)>> InitRolesAsync(CancellationToken stop);

    private static async Task<int> FailAsync(string message)
    {
        await Console.Error.WriteLineAsync($"maap: {message.ReplaceLineEndings(" ")}");
        return 1;
    }
}
