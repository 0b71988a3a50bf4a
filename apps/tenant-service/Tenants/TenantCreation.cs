using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Messaging;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Tenants;

/// <summary>A tenant to be made, checked already.</summary>
internal sealed record TenantBlueprint(string Slug, string Name, string OwnerEmail, string OwnerName, string Password, string ApiKey, string ApiKeyName, LimitsView? Limits = null);

/// <summary>Makes tenants: the tenant, its owner, its first API key, and the services' examples.</summary>
internal sealed partial class TenantCreation(ServiceDb<TenantDb> db, IEnumerable<ITenantSeeder> seeders, TimeProvider time)
{
    public static bool IsSlug(string? slug) => slug is not null && Slug().IsMatch(slug);

    /// <summary>Makes the tenant; null when the slug is taken.</summary>
    public async Task<(Tenant Tenant, User Owner, ApiKey Key)?> CreateAsync(TenantBlueprint blueprint, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        var tenant = new Tenant { Id = Ids.New("ten", now), Slug = blueprint.Slug, Name = blueprint.Name, CreatedAt = now };
        blueprint.Limits?.ApplyTo(tenant);
        var owner = new User
        {
            Id = Ids.New("usr", now),
            TenantId = tenant.Id,
            Email = blueprint.OwnerEmail,
            NormalizedEmail = User.Normalize(blueprint.OwnerEmail),
            Name = blueprint.OwnerName,
            Role = Role.Owner,
            CreatedAt = now,
        };
        owner.PasswordHash = Passwords.Hash(blueprint.Password);
        ApiKey key = ApiKey.Create(blueprint.ApiKeyName, Scopes.All, blueprint.ApiKey, owner.Id, now);
        key.TenantId = tenant.Id;
        // One at a time: the examples are seeded before the row that claims the slug is written.
        return await db.ExclusivelyAsync<(Tenant, User, ApiKey)?>("new tenant", async () =>
        {
            await using TenantDb system = db.OpenSystem("new tenant");
            if (await system.Tenants.AnyAsync(t => t.Slug == tenant.Slug, cancellationToken)) return null;
            // The examples come first: a crash in between leaves no tenant, and the next attempt does it all again.
            foreach (ITenantSeeder seeder in seeders) await seeder.SeedAsync(tenant.Id, cancellationToken);
            system.Tenants.Add(tenant);
            system.Users.Add(owner);
            system.ApiKeys.Add(key);
            await using IDbContextTransaction transaction = await system.Database.BeginTransactionAsync(cancellationToken);
            await system.SaveChangesAsync(cancellationToken);
            await Outbox.AddAsync(system, Created(tenant, wantsExamples: !seeders.Any()), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return (tenant, owner, key);
        }, cancellationToken);
    }

    private static EventEnvelope Created(Tenant tenant, bool wantsExamples) => new()
    {
        Id = Ids.New("evt", tenant.CreatedAt),
        Subject = Subjects.TenantCreated,
        Source = TenantModule.Service,
        TenantId = tenant.Id,
        OrderingKey = tenant.Id,
        Time = tenant.CreatedAt,
        Data = JsonSerializer.SerializeToUtf8Bytes(
            new TenantCreated { TenantId = tenant.Id, Slug = tenant.Slug, Name = tenant.Name, WantsExamples = wantsExamples, At = tenant.CreatedAt }, EventJson.Default.TenantCreated),
    };

    [GeneratedRegex("^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\\z")]
    private static partial Regex Slug();
}
