using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiAgent.Data.Sqlite;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data;

/// <summary>Registration of the storage.</summary>
public static class DataServices
{
    /// <summary>
    /// Registers the database of one service: <see cref="ServiceDb{TContext}"/>, and the <see cref="SqliteDatabase"/>
    /// keyed by the service's name, which is migrated before the host starts.
    /// </summary>
    public static IServiceCollection AddServiceDatabase<TContext>(this IServiceCollection services, string service,
        Func<DbContextOptions<TContext>, TenantScope, TContext> create) where TContext : ServiceDbContext
    {
        services.AddServiceDatabase(service);
        services.AddSingleton(s => new ServiceDb<TContext>(s.GetRequiredKeyedService<SqliteDatabase>(service), create));
        return services;
    }

    /// <summary>Registers the database of a service that needs no EF Core context.</summary>
    public static IServiceCollection AddServiceDatabase(this IServiceCollection services, string service, int pageSize = 4096)
    {
        services.AddOptions<DataOptions>().BindConfiguration("Data").Configure<IConfiguration>((options, configuration) =>
        {
            if (configuration["MAAP_DATA_DIR"] is { Length: > 0 } directory) options.Directory = directory;
        });
        services.AddKeyedSingleton(service, (s, _) => new SqliteDatabase(service, s.GetRequiredService<IOptions<DataOptions>>().Value, pageSize));
        services.AddSingleton(s => new RegisteredDatabase(s.GetRequiredKeyedService<SqliteDatabase>(service)));
        return services;
    }
}

/// <summary>A database that the host migrates at start and shows in its health.</summary>
public sealed record RegisteredDatabase(SqliteDatabase Database);
