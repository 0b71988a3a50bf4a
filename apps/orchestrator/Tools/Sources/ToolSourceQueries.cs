using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Api;
using MultiAgent.Orchestrator.Storage;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>Reads sources of tools for the API.</summary>
internal sealed class ToolSourceQueries(ServiceDb<OrchestratorDb> db)
{
    public async Task<(ToolSourceView View, int Revision)?> FindAsync(string tenantId, string slug, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        return await context.ToolSources.AsNoTracking().SingleOrDefaultAsync(s => s.Slug == slug, cancellationToken) is { } entity ? (View(entity), entity.Revision) : null;
    }

    public async Task<Page<ToolSourceView>> ListAsync(string tenantId, PageRequest page, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        IQueryable<ToolSourceEntity> query = context.ToolSources.AsNoTracking();
        if (page.After is { } after) query = query.Where(s => string.Compare(s.Slug, after) > 0);
        List<ToolSourceEntity> entities = await query.OrderBy(s => s.Slug).Take(page.Limit + 1).ToListAsync(cancellationToken);
        return Page<ToolSourceView>.From([.. entities.Select(e => View(e))], page.Limit, s => s.Slug);
    }

    public static ToolSourceView View(ToolSourceEntity entity, IReadOnlyList<string>? skipped = null)
    {
        ToolSourceSpec spec = JsonSerializer.Deserialize(entity.Definition, ToolSourceJson.Default.ToolSourceSpec)!;
        return new ToolSourceView
        {
            Id = entity.Id,
            Slug = entity.Slug,
            Kind = entity.Kind,
            Name = spec.Name,
            Description = spec.Description,
            OpenApi = spec.OpenApi is not { } api ? null : new OpenApiView { DocumentUrl = api.DocumentUrl, ServerUrl = api.ServerUrl, Operations = api.Operations, IdempotencyHeader = api.IdempotencyHeader },
            Mcp = spec.Mcp,
            Auth = spec.Auth is not { } auth ? null : new SourceAuthView([.. auth.Headers?.Keys.Order(StringComparer.OrdinalIgnoreCase) ?? Enumerable.Empty<string>()], auth.OAuth),
            Limits = spec.Limits ?? new SourceLimits(),
            CostUsd = spec.CostUsd,
            ValidateResults = spec.ValidateResults ?? true,
            Tools = [.. JsonSerializer.Deserialize(entity.Tools, ToolSourceJson.Default.IReadOnlyListImportedTool)!.Select(t => ToolNames.Full(entity.Slug, t.Name))],
            Skipped = skipped is { Count: > 0 } ? skipped : null,
            Problem = entity.Problem,
            CreatedAt = entity.CreatedAt,
            UpdatedAt = entity.UpdatedAt,
            RefreshedAt = entity.RefreshedAt,
        };
    }
}
