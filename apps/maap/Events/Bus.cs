using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;

namespace MultiAgent.Maap.Events;

/// <summary>The bus that the services use, by their own settings.</summary>
internal static class Bus
{
    /// <summary>Runs <paramref name="work"/> on it; returns the exit code, with one line on standard error when it failed.</summary>
    public static async Task<int> RunAsync(Func<IEventOperations, Task<int>> work, CancellationToken stop)
    {
        try
        {
            HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = Environment.CurrentDirectory });
            builder.Configuration.AddJsonFile("appsettings.json", optional: true).AddEnvironmentVariables();
            bool nats = builder.AddEventBus();
            using IHost host = builder.Build();
            // Connections that are closed asynchronously want the host to be disposed of in the same way.
            await using var services = (IAsyncDisposable)host;
            if (!nats) foreach (SqliteDatabase database in host.Services.GetRequiredService<Databases>().Sqlite) Check(database);
            return await work(host.Services.GetRequiredService<IEventOperations>());
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 0;
        }
        catch (OptionsValidationException e)
        {
            return await FailAsync(string.Join(" ", e.Failures));
        }
        catch (Exception e) when (e is StartupException or NATS.Client.Core.NatsException or TimeoutException or IOException or Microsoft.Data.Sqlite.SqliteException)
        {
            return await FailAsync(e.Message);
        }
    }

    // To make an empty database here would hide that the folder is the wrong one.
    private static void Check(SqliteDatabase database)
    {
        if (!File.Exists(database.Path)) throw new StartupException($"There is no event log at {database.Path}. Set MAAP_DATA_DIR to the platform's data folder, or NATS_URL.");
    }

    private static async Task<int> FailAsync(string message)
    {
        await Console.Error.WriteLineAsync($"maap: {message}");
        return 1;
    }
}
