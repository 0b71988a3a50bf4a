namespace MultiAgent.Contracts.Clients;

/// <summary>
/// Puts a service's example data into a new tenant. Registered as an enumerable; the tenant service calls every one of them
/// when it has made the demo tenant.
/// </summary>
public interface ITenantSeeder
{
    /// <summary>Adds what is missing; calling again changes nothing.</summary>
    Task SeedAsync(string tenantId, CancellationToken cancellationToken);
}
