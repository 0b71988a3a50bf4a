using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using MultiAgent.Hosting.Services;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Tls;

namespace MultiAgent.Gateway.Routing;

/// <summary>One OpenAPI document of the whole platform, made of those of its services.</summary>
internal sealed class MergedDocument([FromKeyedServices("v1")] IOpenApiDocumentProvider own, ServiceTopology topology, ServiceTls tls, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly HttpMessageInvoker _http = Http(tls);
    private readonly ConcurrentDictionary<string, JsonNode> _last = new();

    public async Task<IResult> GetAsync(CancellationToken cancellationToken)
    {
        OpenApiDocument document = await own.GetOpenApiDocumentAsync(cancellationToken);
        JsonObject merged = JsonNode.Parse(await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_1, cancellationToken))!.AsObject();
        JsonNode?[] others = await Task.WhenAll(topology.Remote.Select(r => FetchAsync(r, cancellationToken)));
        foreach ((RemoteService service, JsonNode? other) in topology.Remote.Zip(others))
            if (other is not null) OpenApiMerge.Add(merged, other.DeepClone().AsObject(), service.Name);
        return Results.Text(merged.ToJsonString(), "application/json;charset=utf-8");
    }

    public void Dispose() => _http.Dispose();

    /// <summary>A service's document; the last one known when it is away.</summary>
    private async Task<JsonNode?> FetchAsync(RemoteService service, CancellationToken cancellationToken)
    {
        foreach (Uri url in service.Urls)
        {
            using var patience = new CancellationTokenSource(Patience, time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
            try
            {
                using HttpResponseMessage response = await _http.SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri(url, "/openapi/v1.json")), limit.Token);
                if (!response.IsSuccessStatusCode) continue;
                return _last[service.Name] = JsonNode.Parse(await response.Content.ReadAsStringAsync(limit.Token))!;
            }
            catch (Exception e) when (e is HttpRequestException or IOException or JsonException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                // the next replica
            }
        }
        return _last.GetValueOrDefault(service.Name);
    }

    private static HttpMessageInvoker Http(ServiceTls tls)
    {
        var handler = new SocketsHttpHandler();
        ServiceHttp.Configure(handler, tls);
        return new HttpMessageInvoker(handler);
    }
}
