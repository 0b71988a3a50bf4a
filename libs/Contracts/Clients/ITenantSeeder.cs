namespace MultiAgent.Contracts.Clients;

/// <summary>Puts a service's examples into a new demo tenant. Registered as an enumerable; running it twice changes nothing. The tenant service asks those in its process; others hear of the tenant by an event.</summary>
public interface ITenantSeeder
{
    Task SeedAsync(string tenantId, CancellationToken cancellationToken);
}
