using System.Diagnostics.Metrics;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Tells PostgreSQL whose rows a transaction sees: the only place that sets <c>app.tenant_id</c> and <c>app.system</c>, which the policies of the tables read.
/// Both are set each time and for the transaction alone, so that nothing is left on a pooled connection and a batch can go from one scope to the next.
/// A transaction that says nothing sees nothing. The platform's own path across tenants has a setting of its own instead of a magic tenant: no
/// tenant's id, however it was come by, can stand for all of them. It holds the reason, and each use is counted.
/// </summary>
internal static class RowScope
{
    private const string Sql = "SELECT set_config('app.tenant_id', $1, true), set_config('app.system', $2, true)";

    /// <summary>The same in front of a command with named parameters; see <see cref="AddNamed"/>.</summary>
    public const string NamedSql = "SELECT set_config('app.tenant_id', @maap_tenant, true), set_config('app.system', @maap_system, true);\n";

    private static readonly Meter Meter = new("MultiAgent.Data");

    private static readonly Counter<long> SystemAccess = Meter.CreateCounter<long>("database_system_access_total", null, "Transactions of the platform itself that see the rows of all tenants.");

    /// <summary>A command that sets the scope for the rest of the transaction.</summary>
    /// <exception cref="ArgumentException">The scope is empty.</exception>
    public static NpgsqlBatchCommand Command(TenantScope scope)
    {
        (string tenant, string system) = Values(scope);
        return new NpgsqlBatchCommand(Sql) { Parameters = { new NpgsqlParameter<string> { TypedValue = tenant }, new NpgsqlParameter<string> { TypedValue = system } } };
    }

    public static void AddNamed(NpgsqlParameterCollection parameters, TenantScope scope)
    {
        (string tenant, string system) = Values(scope);
        parameters.Add(new NpgsqlParameter<string>("maap_tenant", tenant));
        parameters.Add(new NpgsqlParameter<string>("maap_system", system));
    }

    private static (string Tenant, string System) Values(TenantScope scope)
    {
        if (scope.TenantId is { Length: > 0 } tenant) return (tenant, "");
        if (!scope.IsSystem) throw new ArgumentException("The scope names neither a tenant nor a reason.", nameof(scope));
        SystemAccess.Add(1, new KeyValuePair<string, object?>("reason", scope.Reason));
        return ("", scope.Reason!);
    }
}
