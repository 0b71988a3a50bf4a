using System.Collections.Frozen;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Net.Http.Headers;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Gateway.ChatPage;

/// <summary>Serves the chat page at <c>/</c> from the files embedded in this assembly.</summary>
internal static class ChatPageEndpoints
{
    // Scripts and styles come from here alone, and nothing may frame the page: it holds an API key.
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

    public static void MapChatPage(this IEndpointRouteBuilder routes)
    {
        FrozenDictionary<string, PageFile> files = Load();
        foreach ((string path, PageFile file) in files)
        {
            string route = path == "index.html" ? "/" : $"/{path}";
            routes.MapGet(route, (HttpContext context) => Serve(context, file)).AllowAnonymousCaller().ExcludeFromDescription();
        }
    }

    private static FileContentHttpResult Serve(HttpContext context, PageFile file)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-cache";
        return TypedResults.File(file.Bytes, file.ContentType, entityTag: file.Tag);
    }

    private static FrozenDictionary<string, PageFile> Load()
    {
        const string prefix = "wwwroot/";
        var types = new FileExtensionContentTypeProvider();
        return typeof(ChatPageEndpoints).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(prefix, StringComparison.Ordinal)).ToFrozenDictionary(n => n[prefix.Length..], n =>
        {
            using Stream stream = typeof(ChatPageEndpoints).Assembly.GetManifestResourceStream(n)!;
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            string type = types.TryGetContentType(n, out string? known) ? known : "application/octet-stream";
            return new PageFile(bytes, type.StartsWith("text/", StringComparison.Ordinal) ? type + "; charset=utf-8" : type,
                new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes))[..16]}\""));
        });
    }

    private sealed record PageFile(byte[] Bytes, string ContentType, EntityTagHeaderValue Tag);
}
