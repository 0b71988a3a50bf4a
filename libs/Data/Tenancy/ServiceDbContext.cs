using System.Linq.Expressions;
using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace MultiAgent.Data.Tenancy;

/// <summary>
/// Base of every service's context. Entities that are <see cref="ITenantScoped"/> are filtered by the scope and stamped
/// with it; writing another tenant's row throws. Table and column names are snake_case, as in the migrations. On PostgreSQL the
/// tables lie in the service's schema, and row-level security is a second fence.
/// </summary>
public abstract class ServiceDbContext : DbContext
{
    private readonly bool _system;
    private readonly string? _tenantId;

    protected ServiceDbContext(DbContextOptions options, TenantScope scope) : base(options)
    {
        Scope = scope;
        _system = scope.IsSystem;
        _tenantId = scope.TenantId;
        // The scope is told with the beginning of a transaction, so every save has one.
        if (Database.IsNpgsql()) Database.AutoTransactionBehavior = AutoTransactionBehavior.Always;
    }

    /// <summary>Whose rows are seen.</summary>
    public TenantScope Scope { get; }

    /// <summary>Name of the service, whose schema it is on PostgreSQL.</summary>
    protected abstract string ServiceName { get; }

    /// <summary>
    /// Begins a transaction that waits for the others of the same kind in the same scope, as every one does on SQLite: for checks that must still hold at the
    /// commit, such as that an owner is left.
    /// </summary>
    public async Task<IDbContextTransaction> BeginAloneAsync(string kind, CancellationToken cancellationToken)
    {
        IDbContextTransaction transaction = await Database.BeginTransactionAsync(cancellationToken);
        if (!Database.IsNpgsql()) return transaction;
        string name = $"{ServiceName} {kind} {_tenantId}";
        await Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({name}, 0))", cancellationToken);
        return transaction;
    }

    // Both dialects keep times to the millisecond; see PostgresTime.
    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        if (Database.IsNpgsql()) configurationBuilder.Properties<DateTimeOffset>().HaveConversion<WholeMillisecondsConverter>();
        else configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UnixMillisecondsConverter>();
        configurationBuilder.Properties<Enum>().HaveConversion<string>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.ApplyConfigurationsFromAssembly(GetType().Assembly);
        if (Database.IsNpgsql()) modelBuilder.HasDefaultSchema(Postgres.PostgresDatabase.SchemaOf(ServiceName));
        foreach (IMutableEntityType entity in modelBuilder.Model.GetEntityTypes())
        {
            foreach (IMutableProperty property in entity.GetProperties()) property.SetColumnName(SnakeCase(property.Name));
            if (!typeof(ITenantScoped).IsAssignableFrom(entity.ClrType)) continue;
            typeof(ServiceDbContext).GetMethod(nameof(FilterByTenant), BindingFlags.NonPublic | BindingFlags.Instance)!
                .MakeGenericMethod(entity.ClrType).Invoke(this, [modelBuilder]);
        }
    }

    public override int SaveChanges(bool acceptAllChangesOnSuccess) =>
        throw new NotSupportedException("Use SaveChangesAsync.");

    public override Task<int> SaveChangesAsync(bool acceptAllChangesOnSuccess, CancellationToken cancellationToken = default)
    {
        foreach (var entry in ChangeTracker.Entries<ITenantScoped>())
        {
            if (entry.State == EntityState.Added && string.IsNullOrEmpty(entry.Entity.TenantId))
                entry.Entity.TenantId = _tenantId ?? throw new InvalidOperationException($"{entry.Metadata.DisplayName()} has no tenant, and the scope is the system's.");
            if (entry.State is EntityState.Unchanged or EntityState.Detached) continue;
            string stored = entry.State == EntityState.Added ? entry.Entity.TenantId : (string)entry.OriginalValues[nameof(ITenantScoped.TenantId)]!;
            if (stored != entry.Entity.TenantId || (!_system && stored != _tenantId))
                throw new InvalidOperationException($"{entry.Metadata.DisplayName()} belongs to another tenant.");
        }
        return base.SaveChangesAsync(acceptAllChangesOnSuccess, cancellationToken);
    }

    private void FilterByTenant<T>(ModelBuilder modelBuilder) where T : class, ITenantScoped
    {
        // References this instance's fields: EF Core reads them anew for each context.
        Expression<Func<T, bool>> filter = e => _system || e.TenantId == _tenantId;
        modelBuilder.Entity<T>().HasQueryFilter(filter);
    }

    private static string SnakeCase(string name) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    private sealed class UnixMillisecondsConverter() : ValueConverter<DateTimeOffset, long>(
        time => time.ToUnixTimeMilliseconds(), ms => DateTimeOffset.FromUnixTimeMilliseconds(ms));

    private sealed class WholeMillisecondsConverter() : ValueConverter<DateTimeOffset, DateTime>(
        time => Postgres.PostgresTime.Of(time), time => new DateTimeOffset(time, TimeSpan.Zero));
}
