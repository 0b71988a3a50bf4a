using System.Buffers.Text;
using System.Text;
using NATS.NKeys;

namespace MultiAgent.Testing;

/// <summary>
/// Signed claims by which a NATS server knows its users: an operator vouches for an account, the account for a user. Claims are JWT with the algorithm
/// <c>ed25519-nkey</c> (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/jwt).
/// </summary>
internal static class NatsClaims
{
    private const long IssuedAt = 1_700_000_000;

    /// <summary>The part of a server's configuration that trusts an operator, and the text of a credentials file of one of its users.</summary>
    public static (string Configuration, string CredentialsFile) Make()
    {
        using KeyPair master = KeyPair.CreatePair(PrefixByte.Operator), system = KeyPair.CreatePair(PrefixByte.Account), account = KeyPair.CreatePair(PrefixByte.Account), user = KeyPair.CreatePair(PrefixByte.User);
        // The system account may have no streams.
        string Account(KeyPair pair, int streams) => Sign(master, pair.GetPublicKey(), $$$"""
            {"limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1,"mem_storage":{{{streams}}},"disk_storage":{{{streams}}},"streams":{{{streams}}},"consumer":{{{streams}}}},"type":"account","version":2}
            """);
        string userClaims = Sign(account, user.GetPublicKey(), """{"pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"type":"user","version":2}""");
        string file = $"-----BEGIN NATS USER JWT-----\n{userClaims}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{user.GetSeed()}\n------END USER NKEY SEED------\n";
        string configuration = $$"""
            operator: "{{Sign(master, master.GetPublicKey(), """{"type":"operator","version":2}""")}}"
            system_account: {{system.GetPublicKey()}}
            resolver: MEMORY
            resolver_preload: { {{system.GetPublicKey()}}: "{{Account(system, 0)}}", {{account.GetPublicKey()}}: "{{Account(account, -1)}}" }
            """;
        return (configuration, file);
    }

    private static string Sign(KeyPair issuer, string subject, string claims)
    {
        string header = Encode("""{"typ":"JWT","alg":"ed25519-nkey"}""");
        string body = Encode($$"""{"jti":"{{subject}}","iat":{{IssuedAt}},"iss":"{{issuer.GetPublicKey()}}","name":"test","sub":"{{subject}}","nats":{{claims.Trim()}}}""");
        var signature = new byte[64];
        issuer.Sign(Encoding.ASCII.GetBytes($"{header}.{body}"), signature);
        return $"{header}.{body}.{Base64Url.EncodeToString(signature)}";
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
}
