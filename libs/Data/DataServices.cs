using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data;

/// <summary>Registration of the storage.</summary>
public static class DataServices
{
    /// <summary>
    /// Registers the database of one service: <see cref="ServiceDb{TContext}"/>, and beneath it, keyed by the service's name, the <see cref="PostgresDatabase"/>
    /// where an address is configured and the <see cref="SqliteDatabase"/> otherwise. The host migrates it before it starts.
    /// </summary>
    public static IServiceCollection AddServiceDatabase<TContext>(this IServiceCollection services, string service,
        Func<DbContextOptions<TContext>, TenantScope, TContext> create) where TContext : ServiceDbContext
    {
        services.AddServiceDatabase(service);
        return services.AddSingleton(s => s.GetRequiredService<Databases>().IsInPostgres(service)
            ? new ServiceDb<TContext>(s.GetRequiredKeyedService<PostgresDatabase>(service), create)
            : new ServiceDb<TContext>(s.GetRequiredKeyedService<SqliteDatabase>(service), create));
    }

    /// <summary>Registers the database of a service that needs no EF Core context.</summary>
    /// <param name="pageSize">Bytes of a page of the SQLite file.</param>
    public static IServiceCollection AddServiceDatabase(this IServiceCollection services, string service, int pageSize = 4096) =>
        services.AddDatabase(new DatabaseRegistration(service, pageSize, SqliteOnly: false));

    /// <summary>Registers a database that lies in a SQLite file even where PostgreSQL is configured.</summary>
    public static IServiceCollection AddSqliteDatabase(this IServiceCollection services, string service, int pageSize = 4096) =>
        services.AddDatabase(new DatabaseRegistration(service, pageSize, SqliteOnly: true));

    /// <summary>Registers the store that fits: <typeparamref name="TPostgres"/> where an address of PostgreSQL is configured, else <typeparamref name="TSqlite"/>.</summary>
    public static IServiceCollection AddStore<TStore, TSqlite, TPostgres>(this IServiceCollection services) where TStore : class where TSqlite : class, TStore where TPostgres : class, TStore
    {
        services.TryAddSingleton<TStore>(s => s.GetRequiredService<Databases>().UsesPostgres ? ActivatorUtilities.CreateInstance<TPostgres>(s) : ActivatorUtilities.CreateInstance<TSqlite>(s));
        return services;
    }

    /// <summary>Keeps the partitions of a service's tables on PostgreSQL: those that <paramref name="tables"/> names, with their schema.</summary>
    public static IServiceCollection AddPartitions(this IServiceCollection services, string service, Func<DataOptions, PartitionedTable[]> tables) =>
        services.AddSingleton<IHostedService>(s => new PartitionMaintenance(s.GetRequiredService<PostgresServer>(),
            s.GetRequiredService<Databases>().IsInPostgres(service) ? tables(s.GetRequiredService<IOptions<DataOptions>>().Value) : [], s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<PartitionMaintenance>>()));

    /// <summary>Registers <see cref="DataOptions"/>, and <see cref="Databases"/> for what is registered with them. Calling it twice is harmless.</summary>
    public static IServiceCollection AddDataOptions(this IServiceCollection services)
    {
        if (services.Any(s => s.ServiceType == typeof(IValidateOptions<DataOptions>))) return services;
        services.TryAddSingleton<Databases>();
        services.AddSingleton<IValidateOptions<DataOptions>, DataOptionsValidator>();
        services.AddOptions<DataOptions>().BindConfiguration("Data").Configure<IConfiguration>((options, configuration) =>
        {
            if (configuration["MAAP_DATA_DIR"] is { Length: > 0 } directory) options.Directory = directory;
            if (configuration["DATABASE_URL"] is { Length: > 0 } url) options.DatabaseUrl = url;
            if (configuration["DATABASE_REPLICA_URL"] is { Length: > 0 } replica) options.DatabaseReplicaUrl = replica;
            if (configuration["DATABASE_ADMIN_URL"] is { Length: > 0 } admin) options.DatabaseAdminUrl = admin;
        }).ValidateOnStart();
        return services;
    }

    private static IServiceCollection AddDatabase(this IServiceCollection services, DatabaseRegistration registration)
    {
        services.AddDataOptions();
        services.TryAddSingleton<PostgresServer>();
        services.AddSingleton(registration);
        services.AddKeyedSingleton(registration.Service, (s, _) => new SqliteDatabase(registration.Service, s.GetRequiredService<IOptions<DataOptions>>().Value, registration.PageSize));
        services.AddKeyedSingleton(registration.Service, (s, _) => new PostgresDatabase(registration.Service, s.GetRequiredService<PostgresServer>(), s.GetRequiredService<IOptions<DataOptions>>().Value));
        return services;
    }

    private sealed class DataOptionsValidator : IValidateOptions<DataOptions>
    {
        public ValidateOptionsResult Validate(string? name, DataOptions options) =>
            options.Problem() is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;
    }
}
