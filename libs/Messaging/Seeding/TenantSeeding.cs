using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Services;

namespace MultiAgent.Messaging.Seeding;

/// <summary>Puts a service's examples into new tenants, when the tenant service is another process and tells of them by an event.</summary>
public static class TenantSeeding
{
    /// <summary>Adds the consumer, where it is needed. In one process the tenant service asks the <see cref="ITenantSeeder"/>s itself.</summary>
    public static void AddTenantSeeding(this IHostApplicationBuilder builder, string service)
    {
        if (builder.Topology().Find(ServiceTopology.Tenants) is not null)
            builder.Services.AddSingleton<IEventConsumer>(s => new Consumer(service, s.GetServices<ITenantSeeder>()));
    }

    private sealed class Consumer(string service, IEnumerable<ITenantSeeder> seeders) : IEventConsumer
    {
        public string Name => $"{service}-tenant-examples";

        public string Filter => Subjects.TenantCreated;

        public async Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
        {
            foreach (EventEnvelope e in events)
            {
                TenantCreated tenant = JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.TenantCreated) ?? throw new JsonException("The event is empty.");
                if (!tenant.WantsExamples) continue;
                foreach (ITenantSeeder seeder in seeders) await seeder.SeedAsync(tenant.TenantId, cancellationToken);
            }
        }
    }
}
