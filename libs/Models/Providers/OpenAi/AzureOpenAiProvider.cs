using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Providers.OpenAi;

/// <summary>Azure OpenAI: the same dialect under a URL that names the deployment, with the key in <c>api-key</c>.</summary>
internal sealed class AzureOpenAiProvider(IUpstreamTransport transport, TimeProvider time) : OpenAiProvider(transport, time)
{
    private const string DefaultApiVersion = "2024-10-21";

    public override string Type => "azure-openai";

    protected override (Uri Chat, Uri Embeddings, IEnumerable<KeyValuePair<string, string>> Headers) Address(Deployment deployment)
    {
        string root = $"{deployment.BaseUrl!.AbsoluteUri.TrimEnd('/')}/openai/deployments/{Uri.EscapeDataString(deployment.UpstreamModel)}";
        string query = $"?api-version={Uri.EscapeDataString(deployment.ApiVersion ?? DefaultApiVersion)}";
        var headers = new Dictionary<string, string>(deployment.Headers, StringComparer.OrdinalIgnoreCase);
        if (deployment.ApiKey is { } key) headers["api-key"] = key;
        return (new Uri($"{root}/chat/completions{query}"), new Uri($"{root}/embeddings{query}"), headers);
    }
}
